//! The topology as a picture: a box for the cluster, in it one for each service, beneath them what keeps data. It must not know where it is shown.

use std::fmt::Write as _;

use grace_domain::topology::Topology;

use super::generate::stores;
use crate::blueprint::generate::text::html;

const WIDTH: usize = 760;
const BOX: (usize, usize) = (160, 56);
const GAP: usize = 20;
/// Boxes in a row.
const ACROSS: usize = 4;

/// An SVG document; it refers to nothing outside of itself.
pub fn svg(topology: &Topology) -> String {
    let services: Vec<(String, String)> =
        topology.services.iter().map(|service| (service.name.clone(), format!("port {}, {} replicas", service.port, service.replicas))).collect();
    let mut kept: Vec<(String, String)> = stores(topology).into_iter().map(|store| (store.name.to_owned(), format!("port {}", store.port))).collect();
    if topology.monitoring.is_some() {
        kept.push(("Prometheus".into(), "figures and alerts".into()));
        kept.push(("Grafana".into(), "dashboard".into()));
    }
    let mut boxes = String::new();
    let below = row(&mut boxes, &services, 80, "#dbeafe");
    let below = row(&mut boxes, &kept, below, "#dcfce7");
    let height = below + GAP;
    let nodes = if topology.scales() {
        format!("{} to {} nodes", topology.nodes.least, topology.nodes.most)
    } else {
        format!("{} nodes", topology.nodes.least)
    };
    let title = format!("{}, {nodes}", topology.name);
    let title = html(&title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\" font-family=\"sans-serif\">\n\
         <rect x=\"10\" y=\"10\" width=\"{}\" height=\"{}\" rx=\"10\" fill=\"#ffffff\" stroke=\"#475569\"/>\n\
         <text x=\"30\" y=\"46\" font-size=\"18\" fill=\"#0f172a\">{title}</text>\n{boxes}</svg>\n",
        WIDTH - 20,
        height - 20,
    )
}

/// Draws a row, or several; answers where the next may begin.
fn row(into: &mut String, boxes: &[(String, String)], top: usize, colour: &str) -> usize {
    for (index, (name, detail)) in boxes.iter().enumerate() {
        let (x, y) = (30 + (index % ACROSS) * (BOX.0 + GAP), top + (index / ACROSS) * (BOX.1 + GAP));
        let (width, height) = BOX;
        let (name, detail) = (html(name), html(detail));
        write!(
            into,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{colour}\" stroke=\"#475569\"/>\n\
             <text x=\"{}\" y=\"{}\" font-size=\"14\" fill=\"#0f172a\">{name}</text>\n\
             <text x=\"{}\" y=\"{}\" font-size=\"11\" fill=\"#334155\">{detail}</text>\n",
            x + 12,
            y + 24,
            x + 12,
            y + 42,
        )
        .expect("a String takes every write");
    }
    top + boxes.len().div_ceil(ACROSS) * (BOX.1 + GAP)
}
