import { download, request } from "../api/client";
import { asApiError } from "../api/errors";
import { useLoad } from "../api/use-load";
import { Icon } from "../components/icon";
import { useNotify } from "../components/notices";
import { ErrorNotice, Page, Skeleton } from "../components/page";
import { formatDateTime } from "../resources/values";

interface ReviewedAccount {
  id: number;
  username: string;
  role: string;
  created_at: string;
  last_sign_in_at: string | null;
  /** Sign-ins that have neither ended nor expired. */
  active_sign_ins: number;
}

/** Every account with its role and its last sign-in, to be looked through regularly; for admins. */
export function AccessReviewPage() {
  const notify = useNotify();
  const { data, error, reload } = useLoad("access-review", (signal) =>
    request<ReviewedAccount[]>("GET", "/access-review", { signal }),
  );

  function save() {
    download("/access-review.csv", "access-review.csv").catch((reason: unknown) =>
      notify(asApiError(reason).message),
    );
  }

  return (
    <Page
      title="Access review"
      actions={
        <button type="button" className="button" onClick={save}>
          <Icon name="download" />
          Export CSV
        </button>
      }
    >
      {error && <ErrorNotice error={error} retry={reload} />}
      {!data && !error && <Skeleton />}
      {data && (
        <div className="table-frame">
          <table className="table">
            <caption className="visually-hidden">Accounts and their access</caption>
            <thead>
              <tr>
                <th scope="col">User name</th>
                <th scope="col">Role</th>
                <th scope="col">Created</th>
                <th scope="col">Last sign-in</th>
                <th scope="col">Signed in now</th>
              </tr>
            </thead>
            <tbody>
              {data.map((account) => (
                <tr key={account.id}>
                  <th scope="row">{account.username}</th>
                  <td data-label="Role">{account.role}</td>
                  <td data-label="Created">{formatDateTime(account.created_at)}</td>
                  <td data-label="Last sign-in">
                    {account.last_sign_in_at ? formatDateTime(account.last_sign_in_at) : "Never"}
                  </td>
                  <td data-label="Signed in now">{account.active_sign_ins}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Page>
  );
}
