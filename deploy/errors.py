"""What can go wrong with a deployment, in one tree below `CodeCoachError`.

DeployError
├── DeployRefused    AWS does not do it: no credentials, no right, a wrong value
├── RegionUnknown    the template does not know the region
├── StackFailed      the stack could not be made, changed or deleted; says what failed first, and why
└── AddressSilent    the stack is complete, and its address does not answer
"""

from codecoach.errors import CodeCoachError


class DeployError(CodeCoachError):
    key = "deploy_error"


class DeployRefused(DeployError):
    key = "deploy_refused"


class RegionUnknown(DeployError):
    key = "region_not_in_template"


class StackFailed(DeployError):
    key = "stack_failed"


class AddressSilent(DeployError):
    key = "address_silent"
