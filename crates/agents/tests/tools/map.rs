//! The map of a repository: what it says of each language, which files come first, and what hostile files do to it.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use grace_agents::model::TOKEN_BYTES;
use grace_agents::tools::map::{Focus, overview};
use grace_sandbox::beneath::Root;

use super::Workspace;

fn map(workspace: &Workspace, tokens: usize, focus: &Focus) -> String {
    overview(&Root::open(workspace.path()).unwrap(), tokens, focus).unwrap()
}

/// What a map says of the definitions in one file.
fn defined(path: &str, text: &str) -> String {
    let map = map(&Workspace::with(&[(path, text)]), 4_000, &Focus::default());
    let (_, definitions) = map.split_once("those first that others use:\n").unwrap_or_else(|| panic!("{map}"));
    definitions.strip_prefix(&format!("  {path}\n")).unwrap().to_owned()
}

#[test]
fn a_map_nests_what_each_language_defines() {
    let rust = "\
#[derive(Debug)]
pub struct Ledger<T>(T);
impl<T: Clone> Ledger<T> {
    pub async fn settle(&self, cost: u64) -> bool {
        fn local() {}
        true
    }
}
pub trait Account {
    fn reserve(&self);
}
macro_rules! grammar {
    () => {};
}
#[cfg(test)]
mod tests {
    fn not_listed() {}
}
";
    let expected = "\x20   2: pub struct Ledger<T>(T)
    3: impl<T: Clone> Ledger<T>
      4: pub async fn settle(&self, cost: u64) -> bool
    9: pub trait Account
      10: fn reserve(&self)
    12: macro_rules! grammar
    16: mod tests
";
    assert_eq!(defined("lib.rs", rust), expected);
    let python = "\
import os
LIMIT = 3
lower = 4
@router.get('/items')
async def items(page: int = 1):
    def inner(): ...
class Item(Base):
    total: int = 0
    @property
    def price(self) -> int:
        return 1
if os.name:
    def conditional(): ...
";
    let expected = "\x20   2: constant LIMIT = 3
    5: @router.get('/items') async def items(page: int = 1)
    7: class Item(Base)
      10: @property def price(self) -> int
    13: def conditional(): ...
";
    assert_eq!(defined("main.py", python), expected);
    let tsx = "\
export default function App({ name }: Props) {
  const inner = () => 1;
  return <div>{name}</div>;
}
export const useTotal = () => 1;
const LIMIT = 3;
interface Props { name: string }
export abstract class Store<T> {
  abstract load(): T;
  save(value: T): void {}
}
export enum Colour { Red }
type Id = string;
declare namespace Api { function call(): void; }
";
    let expected = "\x20   1: export default function App({ name }: Props)
    5: export const useTotal = () => 1
    7: interface Props { name: string }
    8: export abstract class Store<T>
      9: method abstract load(): T
      10: method save(value: T): void {}
    12: export enum Colour { Red }
    13: type Id = string
    14: declare namespace Api { function call(): void; }
      14: declare namespace Api { function call(): void; }
";
    assert_eq!(defined("App.tsx", tsx), expected);
    let typescript = "export const cast = <string>value;\nexport function total(of: number[]): number { return 0; }\n";
    let expected = "    1: export const cast = <string>value\n    2: export function total(of: number[]): number { return 0; }\n";
    assert_eq!(defined("cast.ts", typescript), expected);
    let javascript = "const load = async (url) => fetch(url);\nclass Page extends Base {\n  render() {\n  }\n}\nmodule.exports = { load };\n";
    let expected = "    1: const load = async (url) => fetch(url)\n    2: class Page extends Base\n      3: method render()\n";
    assert_eq!(defined("page.js", javascript), expected);
    let go = "\
package shop
type Order struct {
\tTotal int
}
func (o *Order) Sum(x int) int {
\treturn 0
}
const MaxItems = 3
var hidden = 1
func New() *Order { return nil }
";
    let expected = "\x20   2: type Order struct
    5: func (o *Order) Sum(x int) int
    8: const MaxItems = 3
    10: func New() *Order { return nil }
";
    assert_eq!(defined("shop.go", go), expected);
    let java = "\
package shop;
public class Order extends Base {
  private int total;
  public Order(int total) {
  }
  @Override
  public int sum() {
    return total;
  }
  enum State { OPEN }
}
";
    let expected = "\x20   2: public class Order extends Base
      4: constructor public Order(int total)
      7: method public int sum()
      10: enum State { OPEN }
";
    assert_eq!(defined("Order.java", java), expected);
    let c = "\
#define MAX(a, b) ((a) > (b) ? (a) : (b))
struct order { int total; };
typedef unsigned long money;
static struct order *find(const char *name)
{
    int local = 0;
    return 0;
}
int total;
int sum(struct order *order);
";
    let expected = "\x20   1: #define MAX(a, b) ((a) > (b) ? (a) : (b))
    2: struct order { int total; }
    3: typedef unsigned long money
    4: function static struct order *find(const char *name)
    10: function int sum(struct order *order)
";
    assert_eq!(defined("order.c", c), expected);
    let cpp = "\
namespace shop {
template <typename T>
class Order : public Base {
 public:
  int sum() const;
  T total;
};
int Order::sum() const {
  return 0;
}
}
";
    let expected = "\x20   1: namespace shop
      3: class Order : public Base
        5: method int sum() const
      8: function int Order::sum() const
";
    assert_eq!(defined("order.hpp", cpp), expected);
}

/// Three files that use a fourth, which nothing else tells apart.
fn shop() -> Workspace {
    let mut files: Vec<(String, String)> = Vec::new();
    for name in ["alpha", "beta", "gamma"] {
        files.push((format!("src/{name}.py"), format!("def {name}_view():\n    return find_order()\n")));
    }
    files.push(("src/zulu.py".into(), "def unused_thing(): ...\ndef find_order(): ...\n".into()));
    files.push(("src/yankee.py".into(), "def parse_invoice(): ...\n".into()));
    files.push(("query.sql".into(), "select 1;\n".into()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Workspace::with(&files)
}

/// Paths in the order in which a map defines them.
fn order(map: &str) -> Vec<&str> {
    map.lines().filter_map(|line| line.strip_prefix("  src/")).filter(|line| line.ends_with(".py")).collect()
}

#[test]
fn what_others_use_comes_first_and_what_the_task_speaks_of_before_it() {
    let shop = shop();
    let whole = map(&shop, 4_000, &Focus::default());
    assert_eq!(order(&whole), ["zulu.py", "alpha.py", "beta.py", "gamma.py", "yankee.py"], "{whole}");
    assert!(whole.ends_with("Other files:\n  query.sql (10 B)\n"), "{whole}");
    let focus = Focus::new(&[], "The invoices are read wrongly.");
    assert_eq!(order(&map(&shop, 4_000, &focus))[0], "yankee.py", "by a word of the text");
    let focus = Focus::new(&["src/gamma.py".into()], "");
    assert_eq!(order(&map(&shop, 4_000, &focus))[..2], ["gamma.py", "zulu.py"], "by a named file, and what it uses");
    // With little room the definition that is used is the one that is named.
    let many: String = (0..80).map(|n| format!("def thing_{n}(): ...\n")).collect();
    shop.put("src/zulu.py", format!("{many}def find_order(): ...\n"));
    let short = map(&shop, 300, &Focus::default());
    assert!(short.contains("81: def find_order(): ...") && short.contains(" more\n"), "{short}");
}

#[test]
fn a_map_keeps_to_its_tokens_and_is_the_same_again() {
    let shop = shop();
    let focus = Focus::new(&["src/beta.py".into()], "find_order of the shop");
    for tokens in 0..260 {
        let once = map(&shop, tokens, &focus);
        assert!(once.len() <= tokens * TOKEN_BYTES, "{tokens}: {}", once.len());
        assert_eq!(once, map(&shop, tokens, &focus), "{tokens}");
    }
}

#[test]
fn hostile_files_neither_stop_a_map_nor_lead_it_out() {
    let shop = shop();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.py"), "def the_secret(): ...\n").unwrap();
    symlink(outside.path().join("secret.py"), shop.path().join("src/link.py")).unwrap();
    symlink(outside.path(), shop.path().join("up")).unwrap();
    shop.put("src/binary.py", b"def binary_thing(): ...\n\0\xff");
    shop.put("src/latin.py", b"# caf\xe9\ndef latin_thing(): ...\n");
    shop.put("src/minified.js", "function minified(){}".repeat(1_000));
    shop.put("src/huge.py", "def huge_thing(): ...\n".repeat(60_000));
    shop.put("src/broken.rs", "fn before() {}\nfn broken( {{{ ]]] ;;\nstruct After;\n");
    shop.put("src/odd\nname.py", "def odd_thing(): ...\n");
    // Each kind of depth, for each grammar.
    for ending in ["rs", "py", "js", "ts", "tsx", "go", "java", "c", "hpp"] {
        for (number, text) in ["(\n", "a[\n", "{\n", "a<\n", "fn f(){\n", "class A {\n", "!\n", "if a\n", "a.\n"].iter().enumerate() {
            shop.put(&format!("src/deep/{number}.{ending}"), text.repeat(20_000));
        }
    }
    let began = Instant::now();
    let map = map(&shop, 8_000, &Focus::default());
    for said in [
        "def latin_thing",
        "src/huge.py (1320000 B)",
        "src/minified.js (21000 B)",
        "src/binary.py (",
        "fn before() {}",
        "struct After",
        "src/odd?name.py",
    ] {
        assert!(map.contains(said), "{said} in {map}");
    }
    for unsaid in ["the_secret", "link.py", "binary_thing", "huge_thing"] {
        assert!(!map.contains(unsaid), "{unsaid} in {map}");
    }
    // It stops after five seconds, and one file more; without bounds it takes minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_map_of_more_than_can_be_read_says_so() {
    let workspace = Workspace::new();
    // No code, but something that a parser tries to mend at every sign.
    let garbage: String =
        (0..60_000_u32).map(|n| char::from(b"()[]{}<>=+-*/;:,.!?&|^%#@'\"ab\n "[(n.wrapping_mul(2_654_435_761) >> 16) as usize % 31])).collect();
    for number in 0..60 {
        workspace.put(&format!("garbage{number:02}.rs"), &garbage);
        workspace.put(&format!("code/file{number:02}.rs"), format!("fn function_{number}() {{}}\n"));
    }
    let map = map(&workspace, 4_000, &Focus::default());
    let (_, unread) = map.split_once("those first that others use, ").unwrap_or_else(|| panic!("{map}"));
    assert!(unread.split(' ').next().unwrap().parse::<u32>().unwrap() > 10, "{map}");
}
