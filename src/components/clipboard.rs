//! Handing text over to the person's machine: the clipboard, or a file.

use grace_domain::problem::Problem;

use crate::calls::CallError;

/// Puts `text` on the clipboard.
pub async fn copy(text: String) -> Result<(), CallError> {
    #[cfg(feature = "hydrate")]
    {
        let copying = leptos::prelude::window().navigator().clipboard().write_text(&text);
        send_wrapper::SendWrapper::new(wasm_bindgen_futures::JsFuture::from(copying))
            .await
            .map_err(|_| Problem::unavailable("clipboard", "The browser does not let this page use the clipboard."))?;
        Ok(())
    }
    #[cfg(not(feature = "hydrate"))]
    {
        drop(text);
        Err(Problem::unavailable("browser_only", "Only a browser can do this.").into())
    }
}

/// Offers `text` as a download named `name`.
pub fn save(name: &str, text: String) -> Result<(), CallError> {
    #[cfg(feature = "hydrate")]
    {
        offer(name, &text).map_err(|_| Problem::unavailable("download", "The browser did not take the file.").into())
    }
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = (name, text);
        Err(Problem::unavailable("browser_only", "Only a browser can do this.").into())
    }
}

#[cfg(feature = "hydrate")]
fn offer(name: &str, text: &str) -> Result<(), wasm_bindgen::JsValue> {
    use wasm_bindgen::JsCast;
    let parts = js_sys::Array::of1(&text.into());
    let blob = web_sys::Blob::new_with_str_sequence(&parts)?;
    let address = web_sys::Url::create_object_url_with_blob(&blob)?;
    let link = leptos::prelude::document().create_element("a")?.unchecked_into::<web_sys::HtmlAnchorElement>();
    link.set_href(&address);
    link.set_download(name);
    link.click();
    web_sys::Url::revoke_object_url(&address)
}
