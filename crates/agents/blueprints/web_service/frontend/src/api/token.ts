/** The access token of this tab: in memory, and in sessionStorage so that it survives a reload. */
const key = "access_token";

let token: string | null = sessionStorage.getItem(key);

export function readToken(): string | null {
  return token;
}

export function storeToken(value: string): void {
  token = value;
  sessionStorage.setItem(key, value);
}

export function forgetToken(): void {
  token = null;
  sessionStorage.removeItem(key);
}
