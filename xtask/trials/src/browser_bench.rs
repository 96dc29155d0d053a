//! What a person feels, in a real browser: how soon a page is usable, how a press is answered, how a long log moves and is searched, and what
//! Lighthouse says. The browser is driven by `end2end/measure.mjs`; here the server is prepared for it and its figures become rows.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use grace_script_model::{Call, Request, Turn};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    Options, Outcome,
    bench::{Row, milliseconds, percentile, row},
    scripted::{self, Scripted},
    server::{DataFolder, Server},
};

/// Builds whose plans wait, on the home page.
const BUILDS: usize = 50;
const PAGES: usize = 500;
const BROWSER_WITHIN: Duration = Duration::from_secs(600);
const AUDIT_WITHIN: Duration = Duration::from_secs(120);
/// The last that runs on Node 20.
const LIGHTHOUSE: &str = "lighthouse@12.8.2";
/// Writes 100 000 lines as fast as they are taken, then one each millisecond for 40 seconds.
const NOISE: &str = "seq 1 100000; python3 -u -c 'import time\nbegan = time.monotonic()\nfor n in range(40000):\n    print(\"paced line\", n)\n    \
                     ahead = began + n / 1000 - time.monotonic()\n    ahead > 0 and time.sleep(ahead)'";

pub async fn browser(options: &Options, rows: &mut Vec<Row>) -> Outcome {
    let data = DataFolder::new("bench-browser")?;
    // On all cores, with the browser beside it, as on a laptop.
    let server = Server::start(options, &data.0, None).await?;
    let mut connection = server.connection().await?;
    for number in 0..BUILDS {
        let request = json!({ "description": format!("Shelf{number} has name and height."), "target_domain": "api" });
        connection.post("/api/coding_agent/create", &request).await?.json()?;
    }
    rendered(&server, rows).await?;
    audited(options, &server, rows).await?;
    let model = Scripted::start(|request: &Request| answer(request)).await?;
    model.introduce(&server).await?;
    let intent = scripted::begin(&server, "Write very many lines.", &json!({})).await?;
    server.wait_for(&intent, Duration::from_secs(60), |status| status["status"] == "awaiting_approval").await?;
    felt(options, &server, &intent, rows).await?;
    model.no_problems()?;
    server.end().await?;
    Ok(())
}

fn answer(request: &Request) -> Turn {
    if request.has_schema {
        let task = json!({ "key": "write", "title": "Write", "stage": "coding", "detail": "Write.", "files": [], "verify": "true", "minutes": 1 });
        let plan = json!({
            "title": "Very many lines", "phases": [{ "name": "Work", "tasks": [task] }], "deliverables": ["lines"],
            "assumptions": [], "not_covered": [], "risks": [], "questions": [], "changes": [],
        });
        return Turn::say(&plan.to_string());
    }
    let step = request.answered();
    let call = if step == 0 { Call::new("run", json!({ "command": NOISE })) } else { Call::new("finish", json!({ "summary": "They are written." })) };
    Turn::call([Call { id: Some(format!("call_{step}")), ..call }])
}

/// The home page as the server renders it. Each request comes after a change, so that no page is one kept from before.
async fn rendered(server: &Server, rows: &mut Vec<Row>) -> Outcome {
    let mut connection = server.connection().await?;
    let mut times = Vec::with_capacity(PAGES);
    for number in 0..PAGES {
        if number % 10 == 0 {
            let request = json!({ "description": format!("Drawer{number} has name."), "target_domain": "api" });
            let intent = connection.post("/api/coding_agent/create", &request).await?.json()?;
            let path = format!("/api/coding_agent/{}/stop", intent["intent_id"].as_str().unwrap_or_default());
            connection.post(&path, &json!({})).await?.json()?;
        }
        let began = Instant::now();
        let page = connection.get("/").await?;
        if page.status != 200 {
            return Err(format!("the home page answered {}", page.status));
        }
        times.push(began.elapsed());
    }
    let p99 = percentile(&mut times, 0.99);
    rows.push(row("home page with 50 open builds, rendered, p99", milliseconds(p99), "≤ 50 ms", p99 <= Duration::from_millis(50)));
    Ok(())
}

/// What `end2end/measure.mjs` finds.
async fn felt(options: &Options, server: &Server, intent: &str, rows: &mut Vec<Row>) -> Outcome {
    let address = format!("http://{}", server.address);
    let mut measure = Command::new("node");
    measure.current_dir(&options.end2end).args(["measure.mjs", &address]).arg(&options.chromium).arg(intent);
    let found = output(measure, BROWSER_WITHIN).await?;
    let found: Value = serde_json::from_str(&found).map_err(|error| format!("measure.mjs said no figures: {error}: {found}"))?;
    let figure = |name: &str| found[name].as_f64().ok_or_else(|| format!("measure.mjs gave no {name}: {found}"));
    let interactive = figure("interactive_ms")?;
    rows.push(row("home page usable and live, nothing cached, median", format!("{interactive:.0} ms"), "≤ 1 000 ms", interactive <= 1_000.0));
    let (press, told) = (figure("press_ms")?, figure("presses_told")?);
    rows.push(row("press → its effect is drawn, longest", format!("{press:.0} ms ({told:.0} beyond a frame)"), "≤ 100 ms", press <= 100.0));
    let (frames, events) = (figure("frames_per_second")?, figure("events_per_second")?);
    let kept_up = frames >= 50.0 && events >= 900.0;
    rows.push(row("log page, about 1 000 events/s", format!("{frames:.0} frames/s at {events:.0}/s"), "≥ 50 frames/s", kept_up));
    let (before, after) = (figure("heap_before")? / 1e6, figure("heap_after")? / 1e6);
    let bounded = after <= before + 20.0;
    rows.push(row("its script memory before / after 10 s of that", format!("{before:.1} / {after:.1} MB"), "bounded", bounded));
    let (search, lines) = (figure("log_search_ms")?, figure("log_lines")?);
    let is_met = search <= 100.0 && lines >= 100_000.0;
    rows.push(row("log search, longest of four", format!("{search:.0} ms in {lines:.0} lines"), "≤ 100 ms", is_met));
    Ok(())
}

/// Lighthouse on each page, the lowest score of each kind.
async fn audited(options: &Options, server: &Server, rows: &mut Vec<Row>) -> Outcome {
    const KINDS: [(&str, f64); 3] = [("performance", 95.0), ("accessibility", 100.0), ("best-practices", 95.0)];
    let mut lowest = KINDS.map(|_| 100.0_f64);
    let pages = ["/", "/tasks", "/operations", "/analytics", "/settings"];
    for page in pages {
        let mut audit = Command::new("npm");
        audit
            .current_dir(&options.end2end)
            .args(["exec", "--yes", "--package", LIGHTHOUSE, "--", "lighthouse"])
            .arg(format!("http://{}{page}", server.address))
            .args(["--preset=desktop", "--output=json", "--quiet", "--chrome-flags=--headless=new --no-sandbox --disable-gpu"])
            .args(["--only-categories=performance,accessibility,best-practices"])
            .env("CHROME_PATH", &options.chromium);
        let found = output(audit, AUDIT_WITHIN).await?;
        let found: Value = serde_json::from_str(&found).map_err(|error| format!("Lighthouse's report of {page}: {error}"))?;
        for ((kind, _), lowest) in KINDS.iter().zip(&mut lowest) {
            let score = found["categories"][*kind]["score"].as_f64().ok_or_else(|| format!("Lighthouse gave {page} no {kind}"))?;
            *lowest = lowest.min(score * 100.0);
        }
    }
    let is_met = KINDS.iter().zip(&lowest).all(|((_, wanted), found)| found >= wanted);
    let [performance, accessibility, practices] = lowest;
    let shown = format!("{performance:.0}, {accessibility:.0}, {practices:.0}");
    rows.push(row("Lighthouse, desktop, lowest of five pages: P, A, BP", shown, "≥ 95, 100, ≥ 95", is_met));
    Ok(())
}

/// Standard output of a program that ends well in time.
async fn output(mut command: Command, within: Duration) -> Outcome<String> {
    let what = format!("{:?}", command.as_std().get_program());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    let child = child.map_err(|error| format!("cannot start {what}: {error}"))?;
    let ended =
        tokio::time::timeout(within, child.wait_with_output()).await.map_err(|_| format!("{what} took longer than {} s", within.as_secs()))?;
    let ended = ended.map_err(|error| format!("{what}: {error}"))?;
    if !ended.status.success() {
        return Err(format!("{what} ended with {}: {}", ended.status, String::from_utf8_lossy(&ended.stderr)));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}
