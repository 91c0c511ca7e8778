//! The sentences for the scopes of the catalogue, in the languages of the gateway's pages.

use crate::provider::{ProviderDescriptor, ScopeName};

/// Adds the sentence of each scope that the descriptor names.
pub(super) fn name_scopes(provider: &mut ProviderDescriptor) {
    let scopes = provider.known_scopes();
    let known = scopes.iter().filter_map(|scope| {
        let bare = scope.as_str();
        let bare = bare
            .strip_prefix("https://www.googleapis.com/auth/")
            .or_else(|| bare.strip_prefix("extapi:"))
            .unwrap_or(bare);
        let &(_, access, english, russian) = WORDS.iter().find(|(name, ..)| *name == bare)?;
        Some(ScopeName {
            scope: scope.to_string(),
            writes: access == WRITES,
            text: [("en", english), ("ru", russian)]
                .map(|(language, text)| (language.into(), text.into()))
                .into(),
        })
    });
    provider.scope_names = known.collect();
}

const READS: bool = false;
const WRITES: bool = true;

/// A scope without the prefix of its server, its access, and its sentence in English and Russian.
#[rustfmt::skip]
const WORDS: &[(&str, bool, &str, &str)] = &[
    // Accounts
    ("openid", READS, "Know which account you use", "Знать, какой учётной записью вы пользуетесь"),
    ("email", READS, "See your email address", "Видеть ваш адрес электронной почты"),
    ("User.Read", READS, "See your profile", "Видеть ваш профиль"),
    ("offline_access", READS, "Keep access while you are away", "Сохранять доступ в ваше отсутствие"),
    // Google
    ("gmail.modify", WRITES, "Read, compose and send email, and change labels", "Читать, составлять и отправлять письма, менять ярлыки"),
    ("gmail.readonly", READS, "Read email", "Читать письма"),
    ("gmail.compose", WRITES, "Compose drafts and send email", "Составлять черновики и отправлять письма"),
    ("calendar.events", WRITES, "See and change events in all calendars", "Видеть и менять события во всех календарях"),
    ("calendar.events.readonly", READS, "See events in all calendars", "Видеть события во всех календарях"),
    ("calendar.events.owned", WRITES, "See and change events in your own calendars", "Видеть и менять события в ваших календарях"),
    ("calendar.calendarlist.readonly", READS, "See the list of your calendars", "Видеть список ваших календарей"),
    ("contacts", WRITES, "See and change contacts", "Видеть и менять контакты"),
    ("contacts.readonly", READS, "See contacts", "Видеть контакты"),
    ("tasks", WRITES, "See and change tasks and lists", "Видеть и менять задачи и списки"),
    ("tasks.readonly", READS, "See tasks and lists", "Видеть задачи и списки"),
    ("drive", WRITES, "See, change and delete all files", "Видеть, менять и удалять все файлы"),
    ("drive.readonly", READS, "See and download all files", "Видеть и скачивать все файлы"),
    ("drive.file", WRITES, "See and change files created or opened with this app", "Видеть и менять файлы, созданные или открытые в этом приложении"),
    ("youtube.force-ssl", WRITES, "See and change videos, ratings, comments and captions", "Видеть и менять видео, оценки, комментарии и субтитры"),
    ("youtube.readonly", READS, "See your YouTube account", "Видеть вашу учётную запись YouTube"),
    ("youtube.upload", WRITES, "Upload and manage videos", "Загружать видео и управлять ими"),
    ("googlehealth.activity_and_fitness.readonly", READS, "See activity and fitness data", "Видеть данные об активности и тренировках"),
    ("googlehealth.activity_and_fitness.writeonly", WRITES, "Add activity and fitness data", "Добавлять данные об активности и тренировках"),
    ("googlehealth.health_metrics_and_measurements.readonly", READS, "See health measurements", "Видеть показатели здоровья"),
    ("googlehealth.nutrition.readonly", READS, "See nutrition data", "Видеть данные о питании"),
    ("googlehealth.nutrition.writeonly", WRITES, "Add nutrition data", "Добавлять данные о питании"),
    ("googlehealth.profile.readonly", READS, "See your health profile", "Видеть ваш профиль здоровья"),
    ("googlehealth.sleep.readonly", READS, "See sleep data", "Видеть данные о сне"),
    // Microsoft
    ("Mail.ReadWrite", WRITES, "Read, compose, change and delete email", "Читать, составлять, менять и удалять письма"),
    ("Mail.Send", WRITES, "Send email", "Отправлять письма"),
    ("Mail.Read", READS, "Read email", "Читать письма"),
    ("Mail.ReadBasic", READS, "Read email without body and attachments", "Читать письма без текста и вложений"),
    ("Calendars.ReadWrite", WRITES, "See and change calendars and events", "Видеть и менять календари и события"),
    ("Calendars.Read", READS, "See calendars and events", "Видеть календари и события"),
    ("Calendars.ReadBasic", READS, "See events without their text and attachments", "Видеть события без описания и вложений"),
    ("Files.ReadWrite", WRITES, "See, change and delete your files", "Видеть, менять и удалять ваши файлы"),
    ("Files.Read", READS, "See and download your files", "Видеть и скачивать ваши файлы"),
    ("Files.ReadWrite.AppFolder", WRITES, "See and change files in this app’s own folder", "Видеть и менять файлы в папке этого приложения"),
    ("Tasks.ReadWrite", WRITES, "See and change tasks and lists", "Видеть и менять задачи и списки"),
    ("Tasks.Read", READS, "See tasks and lists", "Видеть задачи и списки"),
    // Todoist
    ("data:read_write", WRITES, "See and change tasks and projects", "Видеть и менять задачи и проекты"),
    ("data:read", READS, "See tasks and projects", "Видеть задачи и проекты"),
    ("task:add", WRITES, "Add tasks", "Добавлять задачи"),
    // Asana
    ("tasks:read", READS, "See tasks", "Видеть задачи"),
    ("tasks:write", WRITES, "Create and change tasks", "Создавать и менять задачи"),
    ("projects:read", READS, "See projects", "Видеть проекты"),
    ("stories:read", READS, "See comments", "Видеть комментарии"),
    ("stories:write", WRITES, "Write comments", "Писать комментарии"),
    ("users:read", READS, "See names and email addresses of members", "Видеть имена и адреса участников"),
    ("workspaces:read", READS, "See workspaces", "Видеть рабочие пространства"),
    ("default", WRITES, "Full access to your Asana account", "Полный доступ к вашей учётной записи Asana"),
    // Jira
    ("read:jira-work", READS, "See projects and issues", "Видеть проекты и задачи"),
    ("write:jira-work", WRITES, "Create and change issues and comments", "Создавать и менять задачи и комментарии"),
    ("read:jira-user", READS, "See user profiles", "Видеть профили пользователей"),
    // GitLab
    ("api", WRITES, "Full access to the API: projects, code, issues and settings", "Полный доступ к API: проекты, код, задачи и настройки"),
    ("read_api", READS, "See everything in the API", "Видеть все данные API"),
    ("read_user", READS, "See your profile", "Видеть ваш профиль"),
    ("read_repository", READS, "Read repositories", "Читать репозитории"),
    ("write_repository", WRITES, "Change repositories", "Менять репозитории"),
    // Oura
    ("personal", READS, "See your age, height, weight and email address", "Видеть ваш возраст, рост, вес и адрес электронной почты"),
    ("daily", READS, "See daily summaries of sleep, activity and readiness", "Видеть ежедневные сводки о сне, активности и готовности"),
    ("heartrate", READS, "See heart rate", "Видеть пульс"),
    ("workout", READS, "See workouts", "Видеть тренировки"),
    ("session", READS, "See guided sessions", "Видеть занятия в приложении"),
    ("tag", READS, "See tags", "Видеть метки"),
    ("spo2", READS, "See blood oxygen", "Видеть насыщение крови кислородом"),
    ("stress", READS, "See stress data", "Видеть данные о стрессе"),
    ("heart_health", READS, "See heart health data", "Видеть данные о здоровье сердца"),
    // SmartThings
    ("r:devices:*", READS, "See all devices", "Видеть все устройства"),
    ("x:devices:*", WRITES, "Control all devices", "Управлять всеми устройствами"),
    ("r:locations:*", READS, "See all locations", "Видеть все помещения"),
    ("r:scenes:*", READS, "See scenes", "Видеть сцены"),
    ("x:scenes:*", WRITES, "Run scenes", "Запускать сцены"),
    // Spotify
    ("user-read-playback-state", READS, "See what is playing and on which device", "Видеть, что играет и на каком устройстве"),
    ("user-modify-playback-state", WRITES, "Control playback", "Управлять воспроизведением"),
    ("user-read-currently-playing", READS, "See the current track", "Видеть текущую композицию"),
    ("user-read-recently-played", READS, "See recently played tracks", "Видеть недавно прослушанное"),
    ("playlist-read-private", READS, "See private playlists", "Видеть закрытые плейлисты"),
    ("playlist-read-collaborative", READS, "See collaborative playlists", "Видеть совместные плейлисты"),
    ("playlist-modify-public", WRITES, "Change public playlists", "Менять открытые плейлисты"),
    ("playlist-modify-private", WRITES, "Change private playlists", "Менять закрытые плейлисты"),
    ("user-library-read", READS, "See your library", "Видеть вашу медиатеку"),
    ("user-library-modify", WRITES, "Change your library", "Менять вашу медиатеку"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::provider::catalog;

    #[test]
    fn every_scope_of_the_catalogue_has_a_sentence() {
        let mut used = BTreeSet::new();
        for provider in catalog::providers() {
            for scope in provider.0.known_scopes().iter() {
                let named = provider
                    .0
                    .scope_names
                    .iter()
                    .find(|it| it.scope == scope.as_str());
                let named = named.unwrap_or_else(|| panic!("{}: {scope} has no sentence", provider.id));
                used.extend(named.text.values().cloned());
            }
        }
        let mut scopes = BTreeSet::new();
        for (scope, _, english, russian) in WORDS {
            assert!(scopes.insert(scope), "{scope} twice");
            assert!(
                used.contains(*english) && used.contains(*russian),
                "{scope} is unused"
            );
        }
    }

    #[test]
    fn a_read_only_tier_has_no_scope_that_writes() {
        for provider in catalog::providers() {
            for scope in provider.0.tiers.read_only.iter().flat_map(|tier| tier.iter()) {
                let writes = provider
                    .0
                    .scope_names
                    .iter()
                    .any(|it| it.scope == scope.as_str() && it.writes);
                assert!(!writes, "{}: {scope}", provider.id);
            }
        }
    }
}
