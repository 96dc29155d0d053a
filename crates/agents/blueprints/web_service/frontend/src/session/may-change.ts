import type { Resource, Row } from "../resources/resource";
import type { Account } from "./account";

/** Whether the account may change the record: what is owned, only its owner and an admin may. */
export function mayChange(account: Account, resource: Resource, row: Row): boolean {
  return !resource.owned || account.role === "admin" || row.owner?.id === account.id;
}
