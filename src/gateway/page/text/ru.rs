//! The texts in Russian.

mod states;

use super::catalogue::{Texts, Unit};
use crate::engine::revoke::report::AtProvider;
use crate::gateway::time;
use crate::model::NeedsConsent;
use crate::provider::ParameterProblem;
use states::{NAME, audit, need, outcome, refusal, remedy};

pub(super) static TEXTS: Texts = Texts {
    lang: "ru",
    skip: "Перейти к содержанию",
    operator: "Оператор",
    connections: "Подключения",
    to_connections: "К подключениям",
    back_to_connections: "Назад к подключениям",
    service: "Сервис",
    status: "Состояние",
    account: "Учётная запись",
    you: "вы",
    never: "никогда",
    optional: "необязательно",
    reads: "Просмотр",
    writes: "Изменение",
    technical_names: "Технические названия",
    shared_tag: "Общее подключение",
    default_tag: "По умолчанию",
    other_group: "Другие",
    everyone: "Все",
    of_catalogue: |text| match text {
        "Productivity" => Some("Работа"),
        "Health & lifestyle" => Some("Здоровье и образ жизни"),
        "Organization" => Some("Организация"),
        "The domain or ID of your organization at Microsoft. Leave it empty to choose the account when you sign in." => {
            Some("Домен или идентификатор вашей организации в Microsoft. Оставьте поле пустым, чтобы выбрать учётную запись при входе.")
        }
        "Permissions of the app" => Some("Права приложения"),
        "Depends on how this application is registered at Asana. Ask an administrator if connecting fails." => {
            Some("Зависит от регистрации приложения в Asana. Если подключиться не удаётся, спросите администратора.")
        }
        "Jira site" => Some("Сайт Jira"),
        "The address of your Jira. Leave it empty to choose among your sites after you sign in." => {
            Some("Адрес вашей Jira. Оставьте поле пустым, чтобы выбрать сайт после входа.")
        }
        "GitLab address" => Some("Адрес GitLab"),
        "The address of your GitLab server. Leave it empty for gitlab.com." => {
            Some("Адрес вашего сервера GitLab. Для gitlab.com оставьте поле пустым.")
        }
        _ => None,
    },

    sections: "Разделы",
    workspace_connections: "Общие подключения",
    open_links: "Открытые ссылки",
    services: "Сервисы",
    audit_log: "Журнал аудита",
    user: "Пользователь",
    switch_user: "Войти под другим именем",
    signed_in_as: |user| format!("Вы вошли как {user}."),

    all_connections: "Все подключения",
    your_connections: "Ваши подключения",
    connect_service: "Подключить сервис",
    search: "Поиск",
    search_hint: "Учётная запись, сервис или название",
    search_hint_operator: "Учётная запись, сервис, пользователь или название",
    all: "Все",
    current: "Текущие",
    active: "Активные",
    needs_consent: "Нужно согласие",
    revoked: "Отозванные",
    filter: "Применить",
    show_all_users: "Показать всех пользователей",
    no_match: "Ничего не найдено",
    no_match_text: "Сократите запрос или снимите фильтры.",
    show_all: "Показать все",
    nothing_to_connect: "Пока нет доступных сервисов",
    nothing_to_connect_text: "Администратор может добавить сервисы в это приложение.",
    nothing_connected: "Пока ничего не подключено",
    nothing_connected_text: "Выберите сервис. На его стороне вы решите, что агенты смогут делать от вашего имени, а здесь в любой момент сможете отозвать доступ.",
    other_connections: "Остальные подключения",
    used: "Использовано",
    refreshed: "Обновлено",
    reconnect: "Подключить заново",
    create_link: "Создать ссылку",
    pages: "Страницы",
    first_page: "Первая страница",
    next_page: "Следующая страница",
    sort: "Порядок",
    sort_oldest: "Сначала старые",
    sort_newest: "Сначала новые",
    sort_used: "По последнему использованию",
    too_many_to_sort: "Подключений слишком много, чтобы их упорядочить. Выберите сервис или пользователя либо воспользуйтесь поиском.",
    revoke_all_of_user: "Отозвать все …",
    can_change: "Может менять данные",
    read_only: "Только чтение",
    cancel: "Отмена",
    only_of: |user| format!("Только подключения пользователя {user}."),
    attention: |number| format!("Требуют внимания ({number})"),
    of_owner: |provider, owner| format!("{provider}, владелец: {owner}"),
    more_scopes: |number| format!("ещё {}", count(number, "право", "права", "прав")),
    not_granted_count: |number| format!("{} не предоставлено", count(number, "право", "права", "прав")),

    health: "Состояние подключения",
    not_granted: "Не предоставлено",
    not_granted_hint: "Если агентам нужен этот доступ, подключите сервис заново и оставьте его отмеченным.",
    create_reconnect_link: "Создать ссылку для повторного подключения",
    refresh_now: "Обновить сейчас",
    make_default: "Сделать основным",
    revoke_dots: "Отозвать …",
    operator_only: "Изменить общее подключение может только оператор.",
    add_service: "Добавить сервис",
    add_service_hint: "Согласие той же учётной записи будет расширено. Имеющиеся подключения продолжат работать.",
    add: "Добавить",
    create_add_link: "Создать ссылку для добавления",
    belongs_to: "Владелец",
    workspace_owner: "рабочее пространство: подключение доступно всем, у кого нет собственного",
    account_not_verified: "Учётная запись не подтверждена",
    granted: "Предоставлено",
    nothing_known: "неизвестно",
    one_consent_with: "Общее согласие с",
    connected: "Подключено",
    last_refreshed: "Последнее обновление",
    last_used: "Последнее использование",
    token_expires: "Текущий токен истекает",
    last_failure: "Последняя ошибка",
    id: "Идентификатор",
    activity: "События",
    no_activity: "Событий пока нет",
    no_activity_managed: "Здесь появятся согласия, обновления и использования этого подключения.",
    no_activity_shared: "Здесь появятся действия ваших агентов с этим подключением. Действия других пользователей вам не видны.",
    through_workspace: "через общее подключение",
    turn: "ход",
    trail_unreadable: "События сейчас недоступны. Остальные данные на странице актуальны.",
    done_connected: "Подключено. Агенты могут работать с этой учётной записью от имени владельца.",
    done_refreshed: "Обновлено. Новые токены сохранены.",
    done_default: "Теперь это основное подключение.",
    change_access: "Изменить доступ …",
    incomplete: "Доступ неполный",
    incomplete_text: "подключение работает, но часть запрошенного доступа не предоставлена",
    full_history: "Показать всю историю",
    waits_for: |provider| format!("{provider} ещё не подтвердил прекращение доступа. Запрос повторяется автоматически."),
    ask_again: |provider| format!("Повторить запрос к {provider}"),
    to_provider: |provider| format!("к {provider}"),
    account_unverified: |provider| format!("не подтверждена: {provider} не сообщает учётную запись, поэтому подключение другой учётной записи останется незамеченным."),
    by: |user| format!("({user})"),
    trail_more: |number| {
        format!(
            "Показано: {}. Более ранние события есть в журнале аудита.",
            count(
                number,
                "последнее событие",
                "последних события",
                "последних событий"
            )
        )
    },

    open_links_lead: "Одноразовые ссылки, созданные для пользователей, и согласия, которые пользователи начали давать. Отменённой ссылкой воспользоваться нельзя.",
    no_links: "Открытых ссылок нет",
    no_links_text: "Ссылка видна здесь с момента создания, пока её не используют или не отменят либо пока не истечёт её срок.",
    link_opened: "Открыта",
    link_unopened: "Не открыта",
    created: "Создана",
    valid_until: "Действует до",
    withdraw: "Отменить",
    done_withdrawn: "Ссылка отменена.",
    done_ended: "Ссылка уже не действовала, отменять было нечего.",
    only_latest: |number| format!("Показано последних: {number}."),

    services_lead: "Сервисы этого рабочего пространства, регистрации приложения в них и способ прекращения доступа.",
    available: "Доступен",
    not_available: "Подключить нельзя",
    revoke_all: "Отозвать все …",
    client_own: "Собственная регистрация рабочего пространства",
    client_added: "Добавлено в это рабочее пространство",
    client_shared: "Регистрация для всех рабочих пространств",
    client_none: "Приложение не зарегистрировано",
    client_unreadable: "Регистрации сейчас нельзя прочитать",
    ends_by_request: "При отзыве доступ прекращается и на стороне сервиса",
    ends_by_user: "Прекратить доступ может только пользователь, на странице сервиса",
    ends_by_itself: "Сервис не отзывает доступ; он закончится по истечении срока",
    ends_unknown: "Сервис не настроен, поэтому отправить ему запрос нельзя",

    audit_lead: "Кто, что и когда подключал, использовал и отзывал. Сначала новые события.",
    export: "Выгрузить CSV",
    event: "Событие",
    from: "С",
    to: "По",
    only_connection: "Только одно подключение.",
    show_connection: "Показать подключение",
    no_events: "Событий нет",
    search_goes_on: "Среди последних записей подходящих событий нет. Продолжите с более ранних.",
    older: "Более ранние события",
    some_service: "сервис",
    export_most: |number| format!("В одном файле не более {}.", count(number, "записи", "записей", "записей")),

    connect_lead: "Вы войдёте в сервис и выберете, что разрешить. Без вашего согласия ничего не будет подключено.",
    choose_below: "Выберите сервис ниже",
    for_whom: "Для кого",
    for_whom_hint: "Чтобы подключить сервис для другого пользователя, создайте ссылку. Воспользоваться ею сможет только он.",
    share_label: "Общее подключение: им пользуются все, у кого нет собственного",
    name: "Название",
    name_hint: "например, «работа»",
    asks_for: "Запрашиваемый доступ",
    full_access: "Полный доступ к данным, которые вы там выберете",
    more_options: "Другие настройки",
    connect_together: "Подключить сразу несколько",
    together_lead: "На всё выбранное здесь вы даёте одно согласие. Каждый сервис становится отдельным подключением, которое можно отозвать отдельно.",
    connect: "Подключить",
    example: "Например",
    none: "нет",
    access_full: "Обычный доступ",
    access_error: "С этими настройками нельзя читать, не получая права изменять. Выберите обычный доступ или измените настройки.",
    user_unknown: "Пользователя с таким именем или идентификатором нет. Проверьте написание.",
    user_ambiguous: "Выберите нужного пользователя.",
    connect_named: |name| format!("Подключить {name}"),
    for_whom_you: |user| format!("{user} (вы)"),
    label_error: |_| NAME.into(),
    parameter_problem: |problem| match problem {
        ParameterProblem::Missing => "Введите значение.",
        ParameterProblem::Malformed => "Недопустимое значение. Сверьте его с примером.",
        ParameterProblem::InternalHost => "Адреса внутренней сети не допускаются.",
        ParameterProblem::Several => "Укажите один из ваших сайтов.",
        ParameterProblem::Unknown => "У сервиса нет такого значения.",
    },

    mcp_add: "Добавить MCP-сервер",
    mcp_lead: "Введите адрес MCP-сервера, которому вы доверяете. Вы увидите, какой доступ он запрашивает, до того как что-либо будет подключено.",
    mcp_address: "Адрес",
    mcp_look: "Проверить",
    mcp_server: "Сервер",
    mcp_authorization: "Вход выполняется на",
    mcp_no_scopes: "Сервер не называет конкретных прав. Вы выберете их при входе.",
    mcp_warning: "Продолжайте, только если знаете этот сервер. Он получает то, что ему отправляет ассистент.",
    mcp_heading: |host| format!("Подключить {host}"),
    mcp_continue: |host| format!("Перейти на {host}"),
    mcp_mistake,
    choice_heading: "Какой сайт подключить?",
    continue_: "Продолжить",
    one_time_link: "Одноразовая ссылка",
    copy: "Скопировать",
    copied: "Скопировано",
    link_copied: "Ссылка скопирована.",
    waiting_text: "Ваш ответ обрабатывается. Страница обновится автоматически.",
    look_again: "Проверить снова",
    other_values: "Ввести другие значения",
    the_service: "Сервис",
    choice_title: |name| format!("Выбор сайта: {name}"),
    choice_text: |name| format!("У вашей учётной записи в {name} несколько сайтов, а подключение действует для одного из них. Пока ничего не подключено. {name} ещё раз запросит ваше согласие."),
    departure_heading: |name| format!("Переход к {name}"),
    departure_text: |host| format!("Вы переходите на {host}, где выберете, что разрешить."),
    link_heading: |user| format!("Ссылка для пользователя {user}"),
    waiting_heading: |name| format!("Подключаем {name} …"),
    try_again: |name| format!("Подключить {name} ещё раз"),
    link_text: |user, provider, lasts, time| format!("Отправьте эту ссылку пользователю {user}. По ней можно один раз подключить {provider}, и воспользоваться ею может только {user}. Срок действия: {lasts} (до {time}). Больше эта ссылка показана не будет."),
    outcome,

    link_refused: "Эта ссылка для вас не действует",
    link_expired: "Срок действия ссылки истёк",
    sign_in_first: "Сначала войдите",
    not_allowed: "Доступ запрещён",
    not_found: "Не найдено",
    that_failed: "Произошла ошибка",
    not_right: "Недопустимый запрос",
    refusal,

    here: "Здесь",
    at_service: "На стороне сервиса",
    these_end: "Эти подключения тоже будут отозваны",
    these_end_text: "В этом сервисе все подключения одной учётной записи используют одно согласие. Когда оно прекратится, эти подключения тоже перестанут работать и потребуют нового согласия:",
    revoke: "Отозвать",
    keep: "Оставить",
    erased: "Стёрто",
    erased_text: "Все токены стёрты из хранилища и его файлов.",
    ended: "Отозвано",
    ended_text: "Токены больше нельзя использовать. Зашифрованная копия хранится, пока сервис не подтвердит отзыв, или до ближайшего обслуживания.",
    these_ended: "Эти подключения тоже отозваны",
    these_ended_text: "Чтобы агенты снова могли их использовать, нужно новое согласие:",
    for_everyone: "все в рабочем пространстве",
    revoke_title: |name| format!("Отозвать {name}?"),
    revoked_title: |name| format!("Доступ к {name} отозван"),
    end_at: |name| format!("Прекратить доступ в {name}"),
    here_text: |owner| format!("Токены сразу стираются из хранилища, и агенты больше не могут работать с этой учётной записью для пользователя {owner}. Начатый ход может завершить текущий запрос. Запись остаётся в истории без токенов."),
    expect_endpoint: |name| format!("{name} получит запрос на отзыв доступа. Если ответа не будет, доступ там может сохраниться, но здесь им нельзя будет воспользоваться. Вы увидите результат."),
    expect_by_user: |name| format!("Прекратить доступ в {name} можете только вы, на странице этого сервиса. После отзыва вы получите ссылку на неё."),
    expect_none: |name| format!("{name} не позволяет отозвать доступ. Оставшийся доступ истечёт сам, и здесь им нельзя воспользоваться."),
    here_text_shared: "Токены сразу стираются из хранилища, и агенты больше не могут работать с этой учётной записью; пользователей с собственным подключением это не касается. Начатый ход может завершить текущий запрос. Запись остаётся в истории без токенов.",
    revoke_all_title: "Отозвать все подключения?",
    nothing_to_revoke: "Отзывать нечего.",
    revoke_all_text: "Агенты сразу потеряют доступ. Затем сервисы получат запрос прекратить доступ и у себя.",
    affected: "Затронутые подключения",
    connections_count: |number| count(number, "подключение", "подключения", "подключений"),
    users_count: |number| count(number, "пользователь", "пользователя", "пользователей"),
    and_more: |number| format!("и ещё {number}"),
    revoke_count: |number| format!("Отозвать {}", count(number, "подключение", "подключения", "подключений")),
    revoked_count: |number| format!("Отозвано: {}", count(number, "подключение", "подключения", "подключений")),
    left_count: |number| format!("Осталось: {}.", count(number, "подключение", "подключения", "подключений")),
    account_of: |account, owner| format!("{account}, владелец: {owner}"),
    goes_on: |name, others| format!("У {name} общее согласие с {others}. Их доступ сохраняется, поэтому на стороне сервиса он не прекращается; он закончится вместе с последним из них."),
    at_provider,

    healthy: "Работает",
    no_known_end: "срок доступа неизвестен",
    refreshes_on_use: "обновится при следующем использовании",
    refreshing: "Обновляется",
    refreshing_text: "запрашиваются новые токены",
    refused_by_api: "Сервис отказывает",
    needs_operator: "Нужен администратор",
    revoked_text: "подключение больше нельзя использовать",
    refreshes_in: |span| format!("обновляется автоматически, следующее обновление примерно через {span}"),
    expires_in: |span| format!("Истекает через {span}"),
    no_refresh: |provider| format!("{provider} не разрешает автоматическое обновление"),
    backing_off: |time| format!("Пауза до {time}"),
    refused_by_api_text: |provider, time| format!("{provider} отклонил запрос ({time}) даже после обновления; если ничего не работает, подключите сервис заново"),
    failure: |failure| states::failure(failure).into(),
    need,
    past_need: |reason| match reason {
        NeedsConsent::Rejected => "доступ был отозван на стороне сервиса или истёк",
        NeedsConsent::Expired => "доступ истёк, и его нельзя было обновить",
        NeedsConsent::LostInFlight => "обновление прервалось, и токен был утерян",
        NeedsConsent::Unexplained => "в обновлении отказано без объяснения",
        NeedsConsent::ClientChanged => "приложение зарегистрировано там заново",
    },
    remedy,
    audit,

    just_now: "только что",
    less_than_a_minute: "меньше минуты",
    span: |number, unit| match unit {
        Unit::Minutes => format!("{number} мин"),
        Unit::Hours => format!("{number} ч"),
        Unit::Days => count(number, "день", "дня", "дней"),
        Unit::Months => count(number, "месяц", "месяца", "месяцев"),
        Unit::Years => count(number, "год", "года", "лет"),
    },
    ago: |span| format!("{span} назад"),
    months: [
        "января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря",
    ],
};


/// Returns a number with its noun: the form for 1, for 2 to 4, and for all others.
fn count<N: TryInto<u64>>(number: N, one: &str, few: &str, many: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let noun = match (number % 10, number % 100) {
        (_, 11..=14) => many,
        (1, _) => one,
        (2..=4, _) => few,
        _ => many,
    };
    format!("{number} {noun}")
}

fn at_provider(outcome: &AtProvider, provider: &str) -> (&'static str, String) {
    match outcome {
        AtProvider::Revoked => ("Отозвано", format!("{provider} подтвердил отзыв.")),
        AtProvider::Attempted { .. } => (
            "Отзыв запрошен",
            format!("{provider} принял запрос, но не гарантирует прекращение доступа. Проверьте на странице сервиса."),
        ),
        AtProvider::Unconfirmed { retry_after } => {
            let wait = retry_after.map_or_else(String::new, |wait| format!(" Сервис просит подождать: {}.", time::span(&TEXTS, wait)),);
            (
                "Не подтверждено",
                format!("{provider} не подтвердил отзыв, поэтому доступ там может сохраниться. Здесь им нельзя воспользоваться.{wait}"),
            )
        }
        AtProvider::Refused => (
            "Отказано",
            format!("{provider} отказался отозвать доступ, поэтому он может сохраниться. Здесь им нельзя воспользоваться."),
        ),
        AtProvider::NotAttempted(problem) => (
            "Не запрошено",
            format!("Запрос в {provider} не отправлен, поэтому доступ там может сохраниться. Здесь им нельзя воспользоваться. Отзыв повторится, когда настройки будут исправлены: {}.", remedy(problem, provider)),
        ),
        AtProvider::ByUser { .. } => ("Остался один шаг", format!("Прекратить доступ в {provider} может только пользователь, на странице этого сервиса.")),
        AtProvider::Unsupported => ("Не поддерживается", format!("{provider} не позволяет отозвать доступ. Оставшийся доступ истечёт сам.")),
        AtProvider::StillUsedBy(others) => (
            "Ещё используется",
            format!("Это согласие в {provider} используют ещё {}, поэтому сам доступ сохраняется. Он закончится вместе с последним подключением.", count(others.len(), "сервис", "сервиса", "сервисов")),
        ),
        AtProvider::NothingLeft => ("Отзывать нечего", "Не осталось токенов, которые можно отозвать.".into()),
    }
}

/// Explains why an MCP server cannot be connected, by the kind of the mistake.
fn mcp_mistake(kind: &str) -> &'static str {
    match kind {
        "url" => "Введите адрес https без имени пользователя, запроса и фрагмента.",
        "no_authorization" => "Этому серверу не нужно подключение: он отвечает всем.",
        "not_an_mcp_server" => "По этому адресу нет MCP-сервера.",
        "private_address" => "Этот адрес не относится к общедоступному интернету.",
        "no_client_description" => "MCP-серверы здесь не настроены. Обратитесь к администратору.",
        "registration_required" | "registration_refused" | "redirect_uri_refused" | "registration" => {
            "Сервер не позволяет этому приложению зарегистрироваться. Обратитесь к администратору."
        }
        "unavailable" => "Сервер не отвечает. Повторите попытку позже.",
        _ => "Сведения сервера о входе не удалось прочитать, или им нельзя доверять. Сообщите его владельцу.",
    }
}
