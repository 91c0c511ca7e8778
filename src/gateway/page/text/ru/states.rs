//! The texts for states, outcomes and refusals in Russian.

use std::borrow::Cow;

use crate::error::{ConsentError, Misconfigured};
use crate::gateway::outcome::Outcome;
use crate::gateway::refusal::Said;
use crate::model::{FailureCode, NeedsConsent};
use crate::vault::AuditKind;

/// The rule for a name that does not fit.
pub(super) const NAME: &str = "Недопустимое название: до 512 байт, без управляющих и невидимых символов.";

pub(super) fn need(reason: NeedsConsent, provider: &str) -> String {
    match reason {
        NeedsConsent::Rejected => format!("доступ отозван в {provider} или истёк"),
        NeedsConsent::Expired => "доступ истёк, и его нельзя обновить".into(),
        NeedsConsent::LostInFlight => "обновление прервалось, и токен утерян".into(),
        NeedsConsent::Unexplained => {
            format!("{provider} отказывается обновить доступ и не объясняет причину")
        }
        NeedsConsent::ClientChanged => format!("приложение заново зарегистрировано в {provider}"),
    }
}

pub(super) fn remedy(problem: &Misconfigured, provider: &str) -> String {
    match problem {
        Misconfigured::UnknownProvider(_) => {
            "сервис больше не настроен; настройте его снова или отзовите подключение".into()
        }
        Misconfigured::UnknownServer(_) => format!(
            "сервер входа для {provider} больше не настроен; настройте его снова или отзовите подключение"
        ),
        Misconfigured::NoClient(_) => format!(
            "приложение больше не зарегистрировано в {provider}; зарегистрируйте его снова или отзовите подключение"
        ),
        Misconfigured::Client(_) => {
            format!("регистрация приложения не подходит для {provider}; исправьте её")
        }
        Misconfigured::ClientChanged(_) => format!(
            "у приложения теперь другая регистрация в {provider}; верните прежнюю или подключите сервис заново"
        ),
        Misconfigured::IssuerChanged(_) => {
            format!("адрес входа для {provider} изменён; верните прежний или подключите сервис заново")
        }
        Misconfigured::StoredParameter { .. } | Misconfigured::Descriptor(_) => {
            format!("адреса {provider} больше не соответствуют этому подключению; подключите сервис заново")
        }
        Misconfigured::InstanceNotRegistered(_) => format!(
            "приложение не зарегистрировано на этом сервере {provider}; зарегистрируйте его там или отзовите подключение"
        ),
        Misconfigured::ClientRejected(_) => {
            format!("{provider} не принимает идентификатор или секрет приложения; исправьте регистрацию")
        }
        Misconfigured::RequestRejected { .. }
        | Misconfigured::NoUploads
        | Misconfigured::NoLoopbackRedirect(_)
        | Misconfigured::NoHttpClient => {
            format!("{provider} не принимает запросы приложения; исправьте его настройки")
        }
    }
}

pub(super) fn audit(kind: AuditKind, detail: Option<&str>, provider: &str) -> (String, Option<&'static str>) {
    let plain = |text: &str| (text.to_owned(), None);
    match kind {
        AuditKind::ConsentStarted => plain("Запрошено согласие"),
        AuditKind::ConsentCompleted => plain("Согласие получено"),
        AuditKind::ConsentDenied => plain("В согласии отказано"),
        AuditKind::ConsentFailed => (
            "Ошибка согласия".into(),
            Some("код не удалось обменять, или ответ оказался непригодным"),
        ),
        AuditKind::Refreshed => plain("Обновлено"),
        AuditKind::RefreshRejected => plain(&format!("{provider} отказал в обновлении")),
        AuditKind::ConsentNeeded => plain("Нужно новое согласие"),
        AuditKind::QuarantineErased => plain("Отклонённый токен стёрт"),
        AuditKind::Revoked => plain("Доступ здесь прекращён"),
        AuditKind::RevocationEnded => match detail {
            Some("confirmed") => plain(&format!("Отозвано в {provider}")),
            Some("refused") => (
                format!("{provider} отказался отозвать доступ"),
                Some("доступ там может сохраниться"),
            ),
            _ => (
                format!("{provider} не подтвердил отзыв"),
                Some("новых попыток не будет; доступ там может сохраниться"),
            ),
        },
        AuditKind::DefaultSet => plain("Выбрано основным"),
        AuditKind::TokenUsed => plain("Использовано"),
        AuditKind::UserForgotten => plain("Все данные пользователя удалены"),
        AuditKind::TenantForgotten => plain("Все данные рабочего пространства удалены"),
        AuditKind::DataKeyRotated => plain("У рабочего пространства новый ключ"),
        AuditKind::MasterKeyRotated => plain("Ключи зашифрованы новым главным ключом"),
        AuditKind::MasterKeyDestroyed => plain("Прежний главный ключ передан на уничтожение"),
        AuditKind::VaultMoved => plain("Данные перенесены в другую базу"),
        AuditKind::DefinitionAdded => plain("Добавлено в рабочее пространство"),
        AuditKind::DefinitionChanged => plain("Изменено в рабочем пространстве"),
        AuditKind::DefinitionRemoved => plain("Удалено из рабочего пространства"),
    }
}

pub(super) fn outcome(outcome: Outcome, name: &str) -> (&'static str, String) {
    match outcome {
        Outcome::Denied => ("В доступе отказано", format!("{name} сообщает, что в доступе отказано. Ничего не подключено и не изменено.")),
        Outcome::Refused => ("Доступ не предоставлен", format!("{name} не предоставил доступ по неизвестной причине. Ничего не подключено.")),
        Outcome::Interaction => ("Сервису нужно больше данных", format!("{name} должен задать вам вопрос, прежде чем предоставить доступ, но не смог этого сделать. Ничего не подключено.")),
        Outcome::TryLater => ("Сервис сейчас недоступен", format!("У {name} временные неполадки. Ничего не подключено. Повторите попытку позже.")),
        Outcome::NotValid => ("Это согласие больше не действует", "Его срок истёк, или его начал другой пользователь. Если вы его завершили, учётная запись есть среди ваших подключений. Иначе начните заново.".into()),
        Outcome::OtherBrowser => ("Согласие начато в другом браузере", "Продолжите в том браузере, в котором начали, или начните заново здесь. Если вы завершили его там, учётная запись есть среди ваших подключений.".into()),
        Outcome::OtherServer => ("Ответ пришёл с другого сервера", format!("Этот ответ отправил не {name}, поэтому он не использован. Ничего не подключено. Если это повторится, обратитесь к администратору.")),
        Outcome::Withdrawn => ("Этот запрос отменён", "Его отменили до вашего ответа. Ничего не подключено.".into()),
        Outcome::Failed => ("Не удалось завершить подключение", format!("{name} не вернул вовремя ожидаемый ответ. Подключение не сохранено. Начните заново.")),
        Outcome::Conflict => ("Подключение одновременно изменено", "То же подключение изменил другой запрос. Проверьте подключения и начните заново, если учётной записи там нет.".into()),
        Outcome::OtherAccount => ("Это другая учётная запись", "Выбрана не та учётная запись, которая подключена. Ничего не изменено. Начните заново с той же учётной записью или подключите другую как новое подключение.".into()),
        Outcome::UnknownAccount => ("Учётная запись неизвестна", format!("{name} не сообщил выбранную учётную запись, поэтому её нельзя сравнить с подключённой. Ничего не изменено.")),
        Outcome::Parameter => ("Значения не подходят этой учётной записи", format!("Для {name} нужны другие значения, или у учётной записи нет там доступа. Ничего не подключено. Проверьте значения или выберите другую учётную запись.")),
        Outcome::NotOffered => ("Этот сервис недоступен", "Сервис удалён из этого приложения. Ничего не подключено.".into()),
        Outcome::NotOneGrant => ("У этих сервисов не может быть одного согласия", "Подключите каждый из них отдельно. Ничего не подключено.".into()),
        Outcome::NotPermitted => ("Доступ запрещён", "Вам нельзя подключить этот сервис. Ничего не подключено. Обратитесь к администратору.".into()),
        Outcome::Misconfigured => ("Сервис настроен неправильно", format!("{name} не принимает запросы этого приложения. Ничего не подключено. Попросите администратора проверить регистрацию.")),
        Outcome::Unavailable => ("Не удалось сохранить подключение", "Хранилище подключений недоступно. Проверьте подключения позже и начните заново, если учётной записи там нет.".into()),
        Outcome::Internal => ("Здесь произошла ошибка", "Запрос не удалось обработать. Проверьте подключения и обратитесь к администратору, если это повторится.".into()),
    }
}

pub(super) fn refusal(said: &Said) -> Cow<'static, str> {
    let text = match said {
        Said::NotFound => "Этой страницы нет, или у вас нет к ней доступа.",
        Said::Forbidden => "Вам нельзя это делать.",
        Said::OutsideMount => "По этому адресу ничего нет.",
        Said::Csrf => "Страница устарела или открыта для другого пользователя. Загрузите её снова.",
        Said::Prefetch => "Этот адрес нельзя загружать заранее.",
        Said::InvalidGrant => "Это согласие здесь не действует или больше не действует. Начните заново.",
        Said::Denied => "В доступе отказано.",
        Said::BeingCompleted => "Согласие обрабатывается. Повторите попытку.",
        Said::Method => "Это действие здесь недоступно.",
        Said::Internal => "Внутренняя ошибка. Ничего не изменено.",
        Said::Vault => "Подключения сейчас нельзя прочитать или изменить.",
        Said::SignIn => "Сначала войдите.",
        Said::NotOneGrant => "У этих сервисов не может быть одного согласия.",
        Said::Misconfigured => "Сервис настроен неправильно. Обратитесь к администратору.",
        Said::UnknownProvider => "Такого сервиса нет.",
        Said::NotAResponse => "Это не ответ сервера авторизации.",
        Said::ProviderDown => "Сервис не смог ответить. Начните заново.",
        Said::LinkRefused => {
            "Возможно, она создана для другого пользователя или отменена. Попросите новую ссылку или войдите как пользователь, для которого она создана."
        }
        Said::LinkExpired => "Попросите новую или подключите сервис на странице подключений.",
        Said::NoProvider => "Сервис не указан.",
        Said::NoParameter => "У сервиса нет такого параметра.",
        Said::UnknownUser => "Пользователя с таким именем или идентификатором нет, или их несколько.",
        Said::NoReadOnly => "Для этого сервиса с такими значениями нельзя запросить только чтение.",
        Said::NoAccess => "Недопустимый вид доступа.",
        Said::NoSelection => "Укажите пользователя или сервис.",
        Said::ReturnTo => "Этот адрес возврата не разрешён.",
        Said::Need(_) => "Нужно новое согласие.",
        Said::Unchanged(ConsentError::AccountMismatch) => {
            "Ничего не изменено: выбрана не та учётная запись, которая подключена."
        }
        Said::Unchanged(ConsentError::AccountUnknown) => {
            "Ничего не изменено: сервис не сообщил выбранную учётную запись."
        }
        Said::Unchanged(_) => {
            "Ничего не изменено: подключение одновременно изменил другой запрос. Начните заново."
        }
        Said::Label(_) => NAME,
        Said::Value(_) | Said::Program(_) => "Запрос содержит недопустимое значение.",
        Said::ForeignOrigin(address) => {
            return format!("Запрос отправлен с другого адреса. Откройте {address} и повторите там.").into();
        }
        Said::Unavailable(code) => return format!("Временно недоступно: {}.", failure(*code)).into(),
        Said::Exchange(code) => {
            return format!("Не удалось обменять код: {}. Начните заново.", failure(*code)).into();
        }
        Said::Parameter(error) => return format!("Проверьте параметр сервиса: {}.", error.name).into(),
        Said::Choice(parameter) => {
            return format!("У учётной записи несколько сайтов. Начните заново и укажите один из них в параметре {parameter}.").into();
        }
    };
    text.into()
}

pub(super) const fn failure(failure: FailureCode) -> &'static str {
    match failure {
        FailureCode::Unreachable => "сервис недоступен",
        FailureCode::Untrusted => "сертификат сервиса не является доверенным",
        FailureCode::NotSent => "HTTP-клиент не отправляет такие запросы",
        FailureCode::TimedOut => "сервис не ответил вовремя",
        FailureCode::Interrupted => "соединение с сервисом прервалось",
        FailureCode::ServerError => "ошибка на стороне сервиса",
        FailureCode::RateLimited => "сервис просит отправлять меньше запросов",
        FailureCode::UnreadableAnswer => "ответ сервиса не удалось прочитать",
        FailureCode::UnknownTokenType => "сервис выдал токен неизвестного типа",
        FailureCode::AnswerTooLarge => "ответ сервиса слишком велик",
        FailureCode::ClientRejected => "сервис не принимает учётные данные приложения",
        FailureCode::RequestRejected => "сервис отклоняет запрос",
        FailureCode::GrantRejected => "сервис отклоняет выданное разрешение",
        FailureCode::Redirected => "сервис ответил перенаправлением",
        FailureCode::Unexplained => "сервис отклоняет запрос без объяснения",
        FailureCode::Misconfigured => "настройки не соответствуют подключению",
        FailureCode::ClientSourceFailed => "не удалось получить регистрацию приложения",
    }
}
