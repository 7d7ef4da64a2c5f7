"""CodeCoach: ask a model for code that uses the AWS SDKs, run it at once, have it fixed when it fails."""

__version__ = "0.1.0"
