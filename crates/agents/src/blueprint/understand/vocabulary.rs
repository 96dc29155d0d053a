//! The words that this blueprint knows: what never names an entity, what explains nothing, what it cannot build, and common entities
//! with the fields that people expect. Tables only; it must not decide.

use std::collections::HashSet;
use std::sync::LazyLock;

/// A set of lower-case words.
pub struct Words(LazyLock<HashSet<&'static str>>);

impl Words {
    pub fn contains(&self, word: &str) -> bool {
        self.0.contains(word)
    }
}

macro_rules! words {
    ($text:literal) => {
        Words(LazyLock::new(|| $text.split_ascii_whitespace().collect()))
    };
}

/// Words that carry no requirement of their own. Sorted by kind, not by letter.
pub static FILLER: Words = words!(
    "a an the this that these those it its i we you they them their our my your me us he she and or of to in on at by for from with as is \
     are be been being was were will would can could should shall must may might do does done so if then than there here where when which \
     who what how why into onto also just too via per etc e.g i.e not no all any some each every both either one two three several many \
     multiple various different other others another more most own up out over about between within through using used use uses please \
     like such only yes build building built create creating created make making made develop implement write generate design want wants \
     need needs needed needing include includes including included support supports supported supporting provide provides providing allow \
     allows allowing let lets enable enables enabling ensure able have has having contain contains consist consists get gets give gives \
     help helps start work works working keep keeps offer offers add set setup based app apps application applications software system \
     systems service services tool tools platform product project program solution website site web webapp feature features functionality \
     function functions capability capabilities module component components page pages screen screens view views ui interface frontend \
     front-end front backend back-end back end server client full-stack fullstack stack full code data database db table tables model \
     models entity entities resource resources field fields column columns record records row rows endpoint endpoints route routes rest \
     restful api apis http json crud user users people person someone anyone everyone team teams mvp prototype version simple small basic \
     clean modern nice good great easy easily quick quickly fast new complete comprehensive robust proper properly full-featured \
     production-ready beautiful user-friendly friendly intuitive secure reliable minimal lightweight internal personal possible following \
     well high-quality quality typical usual standard common well-tested shared central list lists listing detail details form forms edit \
     edits editing update updates updating delete deletes deleting remove removes removing browse browsing see show shows showing display \
     displays read reads save saves saving store stores stored storing track tracks tracking manage manages managing management manager \
     organize organise organizing organising maintain maintains recording viewing enter entering handle handles handling persist persists \
     persisted persistence persistent storage validation validate validated creation deletion modify change changes adding operations \
     schema belong belongs related linked relation relations relationship associated assign assigned optional required unique tracker \
     planner organizer catalog catalogue directory registry log collection responsive accessible layout styling default value values type \
     types name named called titled something anything send sends sending sent receive receives received instantly visitors visitor leave leaves first last order ordered"
);

/// Words that never name an entity by themselves.
pub static NOT_AN_ENTITY: Words = words!(
    "app application software system service tool platform program solution website site web webapp feature functionality function module \
     component page screen view ui interface frontend backend server code data database db table model entity resource field column row \
     endpoint route api json crud mvp prototype version user people person someone anyone everyone everything something thing stuff it \
     one list form detail dashboard login password authentication authorization account role permission admin test testing documentation \
     docs doc deployment support validation pagination search filter filtering sorting sort csv import export websocket websockets chat \
     history real-time realtime time jwt token session cookie oauth sso postgresql postgres sqlite sql docker ci react fastapi python \
     typescript javascript persistence storage way ability able us me them information info value type change operation relation \
     relationship requirement description summary goal stack library catalog catalogue collection inventory directory registry tracker \
     manager management planner organizer shop store blog forum wiki board crm marketplace portal coverage progress sign log end day week \
     month year minute hour second ui/ux ux example etc default backup performance security following above instruction script html css \
     file folder passwd format rest http https url number name kind attribute"
);

/// Verbs whose object is something to keep.
pub static KEEPING: Words = words!(
    "manage manages managing track tracks tracking store stores storing keep keeps keeping record records recording organize organizes \
     organizing organise organises organising maintain maintains maintaining add adds adding create creates creating edit edits editing \
     update updates updating delete deletes deleting remove removes view views viewing browse browses browsing list lists listing save \
     saves saving post posts posting write writes writing submit submits submitting publish publishes log logs logging catalog cataloging \
     catalogue collect collects collecting crud administer handle handles handling register enter enters see book books schedule \
     schedules plan plans search searches filter sell sells"
);

/// Words before an object that are no part of its name.
pub static BEFORE_NOUNS: Words = words!(
    "a an the my our your their his her its own new all any each every some many multiple several different various daily weekly monthly \
     personal existing and or of for on track other shared simple basic individual more one up important"
);

/// Words after which an object's name is over.
pub static AFTER_NOUNS: Words = words!(
    "with by in on to from for of that which who where when so using via per including such as at into through can should must will is \
     are has have be belong belongs and or but while if because e.g between within across over about i they we contains includes include \
     contain like under after before without than based linked assigned then"
);

/// Nouns that say that what stands before them is kept: `habit tracker`.
pub static KEEPERS: Words = words!(
    "tracker tracking manager management planner planning organizer organiser catalog catalogue directory registry list log journal \
     collection library inventory database board archive scheduler scheduling booking"
);

/// Nouns for a whole piece of software: its name stands before them.
pub static SOFTWARE: Words = words!(
    "app application feature system tool service platform website site api backend frontend webapp portal dashboard software program \
     product solution microservice module store shop marketplace blog forum wiki crm server"
);

/// Words that show that a text asks for software at all.
pub static INTENT: Words = words!(
    "build create make develop implement write generate design want need app application feature system tool service platform website \
     site api backend frontend webapp portal dashboard software crud endpoint endpoints page form tracker manager management planner \
     authentication login chat websocket add integrate integration"
);

/// What this blueprint does not build, in any combination of words around it.
pub static NOT_BUILT: Words = words!(
    "redis memcached caching cache cached kubernetes k8s helm terraform ansible aws azure gcp lambda s3 cloudfront vercel netlify heroku \
     email-notifications notification notifications notify notifies notified notifying sms push reminder reminders remind reminds \
     newsletter newsletters stripe paypal payment payments checkout billing subscription subscriptions refund refunds blockchain ethereum \
     solidity nft wallet crypto cryptocurrency ai ml llm gpt chatgpt openai machine-learning recommendation recommendations recommend \
     recommends predict predicts prediction predictions forecast forecasting analytics chart charts graph graphs graphql grpc kafka \
     rabbitmq celery queue queues cron background elasticsearch opensearch mongodb mongo mysql mariadb dynamodb cassandra neo4j firebase \
     supabase vue angular svelte next.js nextjs nuxt django flask express node.js nodejs rails laravel spring golang java kotlin swift \
     flutter mobile ios android electron desktop offline pwa upload uploads uploading uploaded image images photo photos video videos \
     audio voice file files attachment attachments pdf pdfs excel xlsx spreadsheet report reports reporting statistics stats dashboard \
     dashboards map maps geolocation gps calendar kanban gantt drag drag-and-drop drop undo redo i18n internationalization localization \
     multilingual translation translations translate multi-tenant multitenant tenancy 2fa mfa two-factor totp captcha biometric \
     fingerprint ldap saml webhook webhooks slack discord telegram whatsapp twilio sendgrid mailgun smtp zapier scrape scraper scraping \
     crawl crawler crawling barcode qr print printing printer monitoring prometheus grafana sentry metrics tracing encrypt encrypted \
     encryption end-to-end e2e typing receipts reactions emoji emojis mentions mention threads follow followers feed likes leaderboard \
     gamification badges approve approves approval approvals workflow workflows automatically automatic automate automated automation \
     calculate calculates calculated calculation calculations compute computes sum totals convert converts conversion sync syncs \
     synchronize synchronise integrate integrates integration integrations recurring recurrence expire expires alert alerts alarm invite \
     invites invitation invitations share sharing versioning soft-delete trash bulk batch duplicate clone template templates theme themes \
     widget widgets plugin plugins load balancer autoscaling scalable scale microservices rate-limit rate-limiting throttling cdn ssl \
     https tls vpn firewall passwd ignore cart carts wishlist coupon coupons shipping passwordless magic-link reset forgot captchas \
     backups backup cli command-line"
);

/// Entities that people name without describing them: singular, fields. Written as a person would.
pub const COMMON: &[(&str, &str)] = &[
    ("album", "title, artist, year"),
    ("answer", "body"),
    ("appointment", "title, starts at (required), ends at, notes, status (scheduled|completed|cancelled)"),
    ("article", "title, body, published"),
    ("asset", "name, serial number, purchase date, cost, status (in_use|in_storage|retired)"),
    ("author", "name, biography"),
    ("bill", "title, amount, due date, paid"),
    ("book", "title, author, isbn (string, optional), year, description"),
    ("booking", "title, starts at (required), ends at, notes, status (requested|confirmed|cancelled)"),
    ("bookmark", "title, url (required), description"),
    ("budget", "name, amount, starts on: date, ends on: date"),
    ("bug", "title, description, severity, status (open|in_progress|resolved|closed)"),
    ("campaign", "name, description, start date, end date, budget"),
    ("candidate", "name, email, phone, status (applied|interview|offer|rejected), notes"),
    ("car", "name, brand, model, year, price"),
    ("category", "name (unique), description"),
    ("client", "name, email, phone, address, notes"),
    ("comment", "body"),
    ("company", "name, website, industry, notes"),
    ("contact", "name, email, phone, notes"),
    ("course", "title, description, start date"),
    ("customer", "name, email, phone, address, notes"),
    ("deal", "title, amount, stage (new|negotiation|won|lost)"),
    ("department", "name (unique), description"),
    ("device", "name, serial number, location, status (active|inactive)"),
    ("dish", "name, description, price"),
    ("doctor", "name, specialty, email, phone"),
    ("document", "title, body"),
    ("employee", "name, email, position: string, hire date, salary"),
    ("event", "title, description, location, starts at (required), ends at"),
    ("exercise", "name, description, sets, reps"),
    ("expense", "description: string (required), amount, date (required), category, notes"),
    ("feedback", "subject, body, rating"),
    ("flight", "number (required), origin, destination, departs at: datetime, arrives at: datetime"),
    ("game", "title, genre, platform, rating"),
    ("goal", "title, description, target date, status (open|in_progress|done)"),
    ("grade", "subject, score, date"),
    ("group", "name (unique), description"),
    ("guest", "name, email, phone"),
    ("habit", "name, description, frequency (daily|weekly|monthly), active"),
    ("hotel", "name, address, city, rating"),
    ("idea", "title, description, status (new|planned|done)"),
    ("ingredient", "name, quantity, unit"),
    ("invoice", "number (required, unique), issue date, due date, amount, status (draft|sent|paid), notes"),
    ("issue", "title, description, priority, status (open|in_progress|resolved|closed)"),
    ("item", "name, description"),
    ("job", "title, description, company, location, salary"),
    ("label", "name (unique), color"),
    ("lead", "name, email, phone, status (new|contacted|qualified|lost), notes"),
    ("lesson", "title, content"),
    ("link", "title, url (required), description"),
    ("listing", "title, description, price, location"),
    ("loan", "start date (required), due date, returned at"),
    ("meal", "name, description, calories, eaten at: datetime"),
    ("medication", "name, dosage, instructions"),
    ("meeting", "title, description, starts at (required), ends at, location"),
    ("member", "name, email, phone, joined on: date"),
    ("message", "body"),
    ("milestone", "title, due date, status (open|done)"),
    ("movie", "title, description, year, genre, rating"),
    ("note", "title, body"),
    ("order", "number (required, unique), order date, total, status (new|paid|shipped|delivered|cancelled)"),
    ("patient", "name, date of birth, email, phone, notes"),
    ("payment", "amount, paid at, method (cash|card|transfer)"),
    ("pet", "name, species, breed, date of birth"),
    ("plant", "name, species, location, watered at"),
    ("player", "name, position: string, number"),
    ("poll", "question, description, open"),
    ("post", "title, body, published"),
    ("product", "name, description, price, sku, stock"),
    ("project", "name, description, status (planned|active|completed)"),
    ("property", "title, address, price, description"),
    ("purchase", "description: string (required), amount, date"),
    ("question", "title, body"),
    ("quote", "text, author"),
    ("recipe", "title, description, ingredients, instructions, servings, minutes"),
    ("reservation", "name, starts at (required), ends at, guests: number, status (requested|confirmed|cancelled)"),
    ("restaurant", "name, address, cuisine, rating"),
    ("review", "title, body, rating"),
    ("room", "name (unique)"),
    ("shift", "title, starts at (required), ends at"),
    ("shipment", "tracking number (required, unique), shipped at, status (preparing|shipped|delivered)"),
    ("song", "title, artist, year"),
    ("sprint", "name, start date, end date, goal: text"),
    ("student", "name, email, date of birth"),
    ("supplier", "name, email, phone, address"),
    ("survey", "title, description, open"),
    ("tag", "name (unique)"),
    ("task", "title, description, due date, status (open|in_progress|done)"),
    ("teacher", "name, email, subject"),
    ("team", "name (unique), description"),
    ("thread", "title"),
    ("ticket", "title, description, priority, status (open|in_progress|resolved|closed)"),
    ("todo", "title, notes, due date, done"),
    ("topic", "title, description"),
    ("transaction", "description: string (required), amount, date (required)"),
    ("trip", "title, destination, start date, end date, notes"),
    ("vehicle", "name, plate number (unique), model, year"),
    ("vendor", "name, email, phone, address"),
    ("venue", "name, address, capacity"),
    ("visit", "date (required), reason, notes"),
    ("vote", "choice: string (required)"),
    ("warehouse", "name, address"),
    ("workout", "title, date (required), minutes, notes"),
];

/// Whole kinds of software that imply what they keep.
pub const IMPLIED: &[(&str, &[&str])] = &[
    ("blog", &["post", "comment"]),
    ("cms", &["article"]),
    ("crm", &["customer", "contact"]),
    ("forum", &["topic", "post"]),
    ("wiki", &["article"]),
    ("shop", &["product"]),
    ("store", &["product"]),
    ("e-commerce", &["product"]),
    ("ecommerce", &["product"]),
    ("marketplace", &["listing"]),
    ("inventory", &["product"]),
    ("helpdesk", &["ticket"]),
    ("ticketing", &["ticket"]),
    ("booking", &["booking"]),
    ("scheduling", &["appointment"]),
    ("invoicing", &["invoice", "customer"]),
    ("bookkeeping", &["transaction"]),
    ("accounting", &["transaction"]),
    ("guestbook", &["message"]),
    ("to-do", &["todo"]),
    ("todos", &["todo"]),
    ("phonebook", &["contact"]),
    ("bookstore", &["book"]),
    ("library", &["book"]),
];

/// Links that go without saying when both ends exist: child, parent, whether it must be set.
pub const USUAL_LINKS: &[(&str, &str, bool)] = &[
    ("Answer", "Question", true),
    ("Appointment", "Doctor", false),
    ("Appointment", "Patient", true),
    ("Booking", "Room", true),
    ("Book", "Author", false),
    ("Bug", "Project", false),
    ("Comment", "Article", true),
    ("Comment", "Issue", true),
    ("Comment", "Post", true),
    ("Comment", "Task", true),
    ("Comment", "Ticket", true),
    ("Contact", "Company", false),
    ("Contact", "Customer", false),
    ("Deal", "Customer", true),
    ("Employee", "Department", false),
    ("Expense", "Category", false),
    ("Grade", "Student", true),
    ("Invoice", "Client", true),
    ("Invoice", "Customer", true),
    ("Lesson", "Course", true),
    ("Message", "Room", true),
    ("Milestone", "Project", true),
    ("Order", "Customer", true),
    ("Post", "Topic", true),
    ("Product", "Category", false),
    ("Project", "Client", false),
    ("Reservation", "Restaurant", true),
    ("Review", "Movie", true),
    ("Review", "Product", true),
    ("Song", "Album", false),
    ("Task", "Project", false),
    ("Transaction", "Category", false),
    ("Visit", "Patient", true),
    ("Vote", "Poll", true),
];

/// Plural words that are one field of text when nothing describes them.
pub static TEXT_LISTS: Words =
    words!("ingredients steps instructions notes details directions remarks comments_text lyrics symptoms allergies skills");

pub fn common_fields(singular: &str) -> Option<&'static str> {
    COMMON.iter().find(|(name, _)| *name == singular).map(|(_, fields)| *fields)
}
