//! Layer 4: setting infrastructure up.

use grace_domain::{
    id::ProvisioningId,
    list::{ListQuery, Page},
    provisioning::{ProvisionApproval, ProvisionRequest, ProvisioningRun, ProvisioningView, ResourceChange},
};

use super::doors;

doors! {
    /// Runs, and what can be provisioned.
    read_provisioning at "read_provisioning" () -> ProvisioningView => |engine| engine.provisioning();
    /// What a run's plan changes.
    list_changes at "list_changes" (run: ProvisioningId, query: ListQuery) -> Page<ResourceChange> => |engine| engine.provisioning_changes(run, query);
    /// Begins a run.
    provision at "provision" (request: ProvisionRequest) -> ProvisioningRun => |engine| engine.provision(request);
    /// Approves a plan.
    approve_run at "approve_run" (run: ProvisioningId, approval: ProvisionApproval) -> ProvisioningRun => |engine| engine.approve_provisioning(run, approval);
    /// Changes nothing.
    reject_run at "reject_run" (run: ProvisioningId) -> ProvisioningRun => |engine| engine.reject_provisioning(run);
    /// Ends a run.
    cancel_run at "cancel_run" (run: ProvisioningId) -> ProvisioningRun => |engine| engine.cancel_provisioning(run);
}
