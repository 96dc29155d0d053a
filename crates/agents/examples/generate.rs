//! Writes the project of a spec to a folder: `generate <spec.json> <folder>`. For work on the blueprint itself.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::{env, error, fs};

use grace_agents::blueprint::generate::{Part, generate};

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(spec), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: generate <spec.json> <folder>".into());
    };
    let spec = serde_json::from_slice(&fs::read(spec)?)?;
    for part in Part::ALL {
        for file in generate(&spec, part)? {
            let path = PathBuf::from(&folder).join(&file.path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, &file.content)?;
            if file.executable {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
        }
    }
    Ok(())
}
