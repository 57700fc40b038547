// The server's answers. Where it asks for an API key, the person is asked for it, once; it stays in this tab.

const $ = (id) => document.getElementById(id);
const KEPT = "fledged-key";
const TRIES = 5; // of a photo that is refused because too many are asked for at once

let key = sessionStorage.getItem(KEPT) ?? "";
let asking = null;

/** As fetch(), with the key; rejects as that does. */
export async function request(path, options = {}) {
  for (;;) {
    const sent = key;
    const headers = sent ? { Authorization: `Bearer ${sent}` } : {};
    const response = await fetch(path, { ...options, headers });
    // Another request may have brought a key while this one was on its way.
    if (response.status !== 401 || (sent === key && !(await askForKey(Boolean(sent))))) return response;
  }
}

export const needsKey = () => Boolean(key);

/** Sends a photo, again a little later where the server is busy; `path` may have a query. */
export async function post(path, photo) {
  const form = new FormData();
  form.append("file", photo, photo.name);
  for (let tried = 1; ; tried += 1) {
    const response = await request(path, { method: "POST", body: form });
    if (response.status !== 429 || tried === TRIES) return response;
    const waitS = Math.min(Number(response.headers.get("Retry-After")) || 1, 10);
    await new Promise((resolve) => { setTimeout(resolve, 1000 * waitS); });
  }
}

/** Whether there is a new key; however many requests wait for it, one dialog asks. */
function askForKey(wasWrong) {
  asking ??= new Promise((resolve) => {
    const dialog = $("key-dialog");
    $("key-problem").hidden = !wasWrong;
    $("key").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      asking = null;
      const given = dialog.returnValue === "use" && $("key").value.trim();
      // A header takes nothing but these letters.
      if (!given || !/^[\x21-\x7e]+$/.test(given)) return resolve(false);
      key = given;
      sessionStorage.setItem(KEPT, key);
      resolve(true);
    }, { once: true });
  });
  return asking;
}
