//! Takes code out of what the linker wrote that the app never runs, but that the compiler cannot know to be so.
//!
//! Every erased view carries a table of all that a view can do, and one entry is the slow way of taking a page over, `hydrate_async`. The app takes a
//! page over in one step (`hydrate_body`), so these functions are a tenth of the code for nothing. Here the places that hold such a function's address
//! are made to hold that of a function of another type: whoever called it would end the app, loudly. What only it calls is then needed by
//! nobody, and is left out by the splitter and by wasm-bindgen.
//!
//! Only addresses are changed, and no direct calls: the compiler folds functions with the same code into one, under the name of either.

use std::{collections::HashSet, ops::Range};

use anyhow::{Context, Result};
use wasm_encoder::{Encode, RawSection};
use wasmparser::{KnownCustom, Linking, Parser, RelocAddendKind, RelocSectionReader, RelocationEntry, RelocationType, SymbolInfo};

/// Parts of the names of functions whose address nobody uses.
const NEVER_CALLED: [&str; 2] = [
    "hydrate_async",
    // The list of routes is the server's.
    "generate_routes",
];

/// In the names of functions that drop values, which are folded most of all.
const DROPS: &str = "drop_in_place";

/// What stands in their place, the app's entry, whose name wasm-bindgen makes longer: it takes nothing, they all take something, and WebAssembly
/// checks that at every call.
const INSTEAD: &str = "hydrate_";

/// The module without the addresses of what it never calls.
pub fn without_unused(bytes: &[u8]) -> Result<Vec<u8>> {
    let symbols = symbols(bytes)?;
    let instead = symbols.instead.with_context(|| format!("the module has no entry {INSTEAD}…"))?;
    copied(bytes, |name, data, start| {
        if !name.starts_with("reloc.") {
            return Ok(Some(data.to_vec()));
        }
        let reader = RelocSectionReader::new(wasmparser::BinaryReader::new(data, start))?;
        let entries: Vec<RelocationEntry> = reader.entries().into_iter().collect::<Result<_, _>>()?;
        let mut out = Vec::with_capacity(data.len());
        reader.section_index().encode(&mut out);
        u32::try_from(entries.len())?.encode(&mut out);
        for mut entry in entries {
            if is_address(entry.ty) && symbols.unused.contains(&entry.index) {
                entry.index = instead;
            }
            write(&entry, &mut out)?;
        }
        Ok(Some(out))
    })
}

/// The module without the names of its functions, which are more than half of it.
pub fn without_names(bytes: &[u8]) -> Result<Vec<u8>> {
    copied(bytes, |name, data, _| Ok((name != "name").then(|| data.to_vec())))
}

/// Copies a module section by section; `custom` decides what becomes of the content of the custom ones, given with its name and place.
fn copied(bytes: &[u8], mut custom: impl FnMut(&str, &[u8], u64) -> Result<Option<Vec<u8>>>) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let wasmparser::Payload::CustomSection(section) = &payload {
            if let Some(data) = custom(section.name(), section.data(), section.data_offset())? {
                module.section(&wasm_encoder::CustomSection { name: section.name().into(), data: data.into() });
            }
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &bytes[range_of(range)?] });
        }
    }
    Ok(module.finish())
}

fn range_of(range: Range<u64>) -> Result<Range<usize>> {
    Ok(usize::try_from(range.start)?..usize::try_from(range.end)?)
}

/// Numbers in the table of symbols.
#[derive(Default)]
struct Symbols {
    unused: HashSet<u32>,
    instead: Option<u32>,
}

fn symbols(bytes: &[u8]) -> Result<Symbols> {
    let mut found = Symbols::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let wasmparser::Payload::CustomSection(section) = payload? else { continue };
        let KnownCustom::Linking(linking) = section.as_known() else { continue };
        for part in linking.subsections() {
            let Linking::SymbolTable(table) = part? else { continue };
            for (number, symbol) in (0..).zip(table) {
                let SymbolInfo::Func { name: Some(name), .. } = symbol? else { continue };
                if name.starts_with(INSTEAD) {
                    found.instead = Some(number);
                } else if NEVER_CALLED.iter().any(|part| name.contains(part)) && !name.contains(DROPS) {
                    found.unused.insert(number);
                }
            }
        }
    }
    Ok(found)
}

fn is_address(ty: RelocationType) -> bool {
    use RelocationType::{TableIndexI32, TableIndexI64, TableIndexRelSleb, TableIndexRelSleb64, TableIndexSleb, TableIndexSleb64};
    matches!(ty, TableIndexI32 | TableIndexI64 | TableIndexSleb | TableIndexSleb64 | TableIndexRelSleb | TableIndexRelSleb64)
}

/// An entry as in <https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md#relocation-sections>.
fn write(entry: &RelocationEntry, out: &mut Vec<u8>) -> Result<()> {
    out.push(entry.ty as u8);
    entry.offset.encode(out);
    entry.index.encode(out);
    match entry.ty.addend_kind() {
        RelocAddendKind::None => {}
        RelocAddendKind::Addend32 => i32::try_from(entry.addend)?.encode(out),
        RelocAddendKind::Addend64 => entry.addend.encode(out),
    }
    Ok(())
}
