/** Somebody who can sign in. */
export interface Account {
  id: number;
  username: string;
  role: string;
  created_at: string;
}
