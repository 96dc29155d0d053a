//! What the templates of the tests get beside the project. It must not know files.

use minijinja::{Value, context};

use super::entity::tuple;
use super::quoted;
use super::view::{EntityView, ProjectView};

/// For the module that makes rows.
pub fn factories_context(project: &ProjectView) -> Value {
    context! {
        factories_number => project.entities.iter().any(|entity| entity.numbered),
        factories_dates => project.entities.iter().any(|entity| entity.fields.iter().any(|field| field.sample.contains("timedelta"))),
    }
}

/// For the tests of one entity's paths.
pub fn entity_context(entity: &EntityView) -> Value {
    let snake = &entity.name.snake;
    let own = |column: &String| entity.links.iter().any(|link| link.own_kind && link.column == *column);
    let mut factories = vec![format!("make_{snake}"), format!("{snake}_values")];
    factories.extend(entity.manys.iter().map(|link| format!("make_{}", link.target_snake)));
    factories.extend(entity.used_by.iter().map(|usage| format!("make_{}", usage.snake)));
    factories.sort();
    factories.dedup();
    let filters: Vec<String> = entity.filters.iter().map(|filter| filter.name.clone()).filter(|name| !own(name)).collect();
    let invalid: Vec<String> = entity.invalid.iter().map(|case| format!("(\"{}\", {})", case.field, case.value)).collect();
    let money: Vec<String> = entity.fields.iter().filter(|field| field.kind == "decimal").map(|field| field.name.clone()).collect();
    context! {
        e => entity,
        factory_import => format!("from tests.factories import {}", factories.join(", ")),
        orders_list => format!("({})", quoted(&entity.sorted)),
        filters_list => if filters.is_empty() { String::new() } else { tuple(&filters) },
        invalid_list => format!("[{}]", invalid.join(", ")),
        needed_list => if entity.required.is_empty() { String::new() } else { tuple(&entity.required) },
        money_columns => if money.is_empty() { String::new() } else { format!("{{{}}}", quoted(&money)) },
    }
}

/// For the tests of files.
pub fn csv_context(project: &ProjectView) -> Value {
    let mut factories: Vec<String> = project.entities.iter().map(|entity| format!("make_{}", entity.name.snake)).collect();
    let tables: Vec<String> = project
        .entities
        .iter()
        .map(|entity| format!("\"{}\": (make_{}, models.{})", entity.name.path, entity.name.snake, entity.name.class))
        .collect();
    factories.sort();
    // A cell that no row may have. An empty one will not do: in a file it is no value at all, and a table may need none.
    let wrong: Vec<String> = project
        .entities
        .iter()
        .filter_map(|entity| entity.invalid.first().map(|case| (entity, case)))
        .map(|(entity, case)| {
            let value = if case.value == "\"\"" { "\"x\" * 10_001" } else { &case.value };
            format!("\"{}\": (\"{}\", {value})", entity.name.path, case.field)
        })
        .collect();
    context! {
        csv_factories => factories.join(", "),
        csv_tables => format!("{{{}}}", tables.join(", ")),
        csv_wrong => format!("{{{}}}", wrong.join(", ")),
    }
}

/// For the tests of the real-time channel.
pub fn realtime_context(project: &ProjectView) -> Value {
    let Some(realtime) = &project.realtime else { return context! {} };
    let mut without = vec![format!("{}_id", realtime.link)];
    without.extend(realtime.senders.iter().map(|sender| format!("{sender}_id")));
    let mut factories =
        [format!("make_{}", realtime.channel.snake), format!("make_{}", realtime.message.snake), format!("{}_values", realtime.message.snake)];
    factories.sort();
    let factory_import = format!("from tests.factories import {}", factories.join(", "));
    context! { factory_import, sent_without => without, writers => project.default_role_writes }
}
