"""Which AWS actions take something away, interrupt something or hand out rights: the one table of what needs a confirmation."""

import re

# Names of operations, `*` for anything. Reading and creating are not among them.
DESTRUCTIVE = (
    *("Delete*", "Terminate*", "Remove*", "Purge*", "Destroy*", "Drop*", "Clear*", "Empty*", "Evict*", "Expire*", "Forget*"),
    *("Stop*", "Reboot*", "Shutdown*", "Abort*", "Cancel*", "Close*", "Kill*", "Failover*", "Switchover*", "Force*"),
    *("Modify*", "Update*", "Replace*", "Reset*", "Rollback*", "Rotate*", "Swap*", "Restore*", "Merge*", "Set*", "Change*"),
    *("Detach*", "Disassociate*", "Deregister*", "Disable*", "Deactivate*", "Disconnect*", "Unassign*", "Unlink*"),
    *("Unsubscribe*", "Untag*", "Unsuspend*", "Suspend*", "Release*", "Withdraw*", "Deprovision*", "Leave*"),
    *("Revoke*", "Reject*", "Deny*", "Decline*", "Decrease*", "Discard*", "Archive*", "Retire*", "Wipe*"),
    *("Schedule*Deletion", "Batch*Delete*", "Batch*Disassociate*", "Batch*Disable*", "Batch*Update*", "Bulk*Delete*"),
    *("Batch*Remove*", "Batch*Revoke*", "Batch*Reset*", "Batch*Stop*", "RequestCancel*", "ExecuteFastReset", "*GlobalSignOut"),
    *("AdminDelete*", "AdminDisable*", "AdminForget*", "AdminRemove*", "AdminReset*", "AdminRevoke*", "AdminSet*", "AdminUpdate*"),
    # They may hold deletions.
    *("BatchWriteItem", "TransactWriteItems", "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"),
    *("ExecuteSql", "ExecuteChangeSet", "ExecuteCommand", "SendCommand"),
    # Whom they let in.
    *("Put*Policy", "Put*Permission*", "Put*Acl", "Put*AccessBlock", "Put*Lifecycle*", "Attach*Policy", "Add*Permission*"),
    *("Add*To*Role*", "AddUserToGroup", "AddRoleToInstanceProfile", "Authorize*", "Create*AccessKey*", "CreateLoginProfile"),
    *("CreatePolicyVersion", "CreateGrant", "CreateServiceSpecificCredential", "UploadSSHPublicKey", "Send*SSHPublicKey"),
    *("CreateOpenIDConnectProvider", "CreateSAMLProvider", "AddClientIDTo*", "AdminAddUserToGroup", "AssociateIamInstanceProfile"),
)  # fmt: skip

_PATTERN = re.compile("|".join(pattern.replace("*", r"\w*") for pattern in DESTRUCTIVE), re.ASCII)


def is_destructive(operation: str) -> bool:
    """Whether an operation, by its name in AWS's API (`DeleteBucket`), is one of them."""
    return _PATTERN.fullmatch(operation) is not None
