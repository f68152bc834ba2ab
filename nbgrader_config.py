"""nbgrader's configuration: the reason stands beside each option. `course` and `nbgrader` both read it."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "dlcourse"
# References stay in source/: nbgrader would copy them into releases and beside submissions.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__", "*.pyc", "feedback", "reference", ".*"]
# What notebooks write when they run: an author who runs one in source/ does not release trained networks.
c.CourseDirectory.ignore += ["q3_weights.pickle", "mnist_*.pt", "noisy_*.pt"]

# Stubs name their question, instructor-only cells are dropped, hand-in rules (c.HandIn) go along.
c.GenerateAssignment.preprocessors = [
    "dlcourse.build.release.DropInstructorCells",
    "nbgrader.preprocessors.LockCells",
    "dlcourse.build.release.NamedStubs",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
    "dlcourse.handin.release.HandInSheet",
]

# intake: reads hostile files, repairs against the release
c.Autograde.exporter_class = "dlcourse.grading.exporter.SubmissionExporter"
c.Autograde.sanitize_preprocessors = ["dlcourse.grading.intake.Intake", "nbgrader.preprocessors.CheckCellMetadata"]
# run and judge, then record: points come from the judge, not from what a cell printed
c.Autograde.autograde_preprocessors = [
    "dlcourse.grading.steps.Run",
    "dlcourse.grading.steps.Record",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# Feedback is HTML from untrusted input: no scripts, no hidden tests.
c.GenerateFeedback.exporter_class = "dlcourse.feedback.FeedbackExporter"
c.GenerateFeedback.preprocessors = ["dlcourse.feedback.Scores"]
