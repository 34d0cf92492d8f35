#include "cli/follow.h"

#include "base/clock.h"
#include "cli/format.h"

#include <string.h>

#define ASK_MS 300
#define BAR_WIDTH 30

struct progress {
    struct cli *cli;
    struct term term;    /* of the error stream */
    size_t phases_shown; /* of a stream without a terminal */
    char state[32], message[200];
    int64_t told_ms;
    unsigned lines;      /* drawn on a terminal, to be drawn over */
    bool away;
};

bool deployment_has_ended(const json_t *deployment)
{
    const char *state = json_str(deployment, "status.state");
    static const char *const ends[] = { "completed", "failed", "rolled_back", "cancelled", "superseded" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_eq(state, ends[i]))
            return true;
    return false;
}

static void put_phase(const struct term *t, struct buf *out, const json_t *phase)
{
    char duration[FORMAT_MAX], name[32];
    const char *status = json_str(phase, "status"), *word = json_str(phase, "name");
    const char *good = t->utf8 ? "\xe2\x9c\x93" : "ok", *bad = t->utf8 ? "\xe2\x9c\x97" : "!!";
    str_copy(name, sizeof name, word ? word : "");
    term_style(t, out, style_of(status), str_eq(status, "success") ? good : str_eq(status, "failed") ? bad : "-");
    (void)buf_printf(out, " %-12s %s%s\n", name, format_duration(json_num(phase, "duration", 0), duration),
                     str_eq(status, "success")  ? ""
                     : str_eq(status, "failed") ? " (failed)"
                                                : " (skipped)");
}

/* The steps in their order, for what is still to come. */
static const char *const steps[] = { "validate", "resolve",  "preflight", "pull",   "create", "start",
                                     "check",    "register", "switch",    "verify", "retire" };

/* The step under way, with how long it has been, and those behind it. Returns how many lines. */
static unsigned put_current(const struct term *t, struct buf *out, const json_t *deployment, const char *step)
{
    unsigned lines = 0;
    bool ended = deployment_has_ended(deployment), found = false;
    for (size_t i = 0; !ended && i < ARRAY_LEN(steps); i++) {
        bool now = str_eq(steps[i], step);
        found = found || now;
        if (!found && step)
            continue;
        term_style(t, out, now ? STYLE_BOLD : STYLE_DIM,
                   now       ? (t->utf8 ? "\xe2\x96\xb8" : ">")
                   : t->utf8 ? "\xc2\xb7"
                             : ".");
        (void)buf_putc(out, ' ');
        term_style(t, out, now ? STYLE_BOLD : STYLE_DIM, steps[i]);
        (void)buf_putc(out, '\n');
        lines++;
    }
    return lines;
}

/* A terminal: everything is drawn anew over what was drawn before. */
static void draw(struct progress *p, const json_t *deployment)
{
    _cleanup_buf_ struct buf out, line;
    buf_init(&out, 0);
    buf_init(&line, 0);
    if (p->lines)
        (void)buf_printf(&out, "\033[%uA\033[J", p->lines);
    size_t i;
    json_t *phase;
    p->lines = 0;
    json_array_foreach (json_at(deployment, "timing.phases"), i, phase) {
        put_phase(&p->term, &out, phase);
        p->lines++;
    }
    const char *message = json_str(deployment, "status.message"), *step = json_str(deployment, "status.step");
    p->lines += put_current(&p->term, &out, deployment, step);
    double percent = json_num(deployment, "status.progress", 0);
    size_t room = p->term.width > BAR_WIDTH + 9 ? (size_t)p->term.width - BAR_WIDTH - 9 : 0;
    format_bar(&out, percent, BAR_WIDTH, p->term.utf8);
    (void)buf_printf(&out, " %3.0f%% ", percent);
    (void)text_fit(&line,
                   p->away   ? "the hub is away; asking again"
                   : message ? message
                   : step    ? step
                             : "",
                   room, p->term.utf8);
    (void)buf_printf(&out, "%s\n", buf_str(&line));
    p->lines++;
    (void)fputs(buf_str(&out), p->cli->err);
    (void)fflush(p->cli->err);
}

#define TELL_MS 10000 /* a message that changes all the time, such as a pull's, is told so often in a log */
#define LOGS_TOLD 20

static void tell_message(struct progress *p, struct buf *out, const char *message)
{
    int64_t now = clock_mono_ms();
    if (!message || str_eq(message, p->message) || now < p->told_ms + (p->told_ms ? TELL_MS : 0))
        return;
    str_copy(p->message, sizeof p->message, message);
    p->told_ms = now;
    (void)buf_puts(out, "  ");
    text_clean(out, message, false);
    (void)buf_putc(out, '\n');
}

/* What led to a bad end: whoever reads a log later has no other. */
static void tell_logs(struct buf *out, const json_t *logs)
{
    size_t n = json_array_size(logs);
    for (size_t i = n > LOGS_TOLD ? n - LOGS_TOLD : 0; i < n; i++) {
        (void)buf_puts(out, "  ");
        text_clean(out, json_string_value(json_array_get(logs, i)), false);
        (void)buf_putc(out, '\n');
    }
}

/* Elsewhere: one line for each step that has ended, and for each change of the state. */
static void tell(struct progress *p, const json_t *deployment)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    const char *state = json_str(deployment, "status.state");
    const json_t *phases = json_at(deployment, "timing.phases");
    for (; p->phases_shown < json_array_size(phases); p->phases_shown++)
        put_phase(&p->term, &out, json_array_get(phases, p->phases_shown));
    bool ended = deployment_has_ended(deployment);
    if (state && !str_eq(state, p->state) && !ended)
        (void)buf_printf(&out, "%s\n", state);
    str_copy(p->state, sizeof p->state, state ? state : "");
    if (!ended)
        tell_message(p, &out, json_str(deployment, "status.message"));
    if (ended && !str_eq(state, "completed"))
        tell_logs(&out, json_at(deployment, "status.logs"));
    (void)fputs(buf_str(&out), p->cli->err);
    (void)fflush(p->cli->err);
}

static void show_progress(struct progress *p, const json_t *deployment)
{
    if (p->term.tty)
        draw(p, deployment);
    else
        tell(p, deployment);
}

int follow_timeout(struct cli *c, int64_t *ret_ms)
{
    const char *text = args_get(&c->args, "timeout");
    int64_t ms = FOLLOW_DEFAULT_MS;
    if (text && (str_to_duration_ms(text, &ms) < 0 || ms < 1))
        return cli_fail(c, CLI_USAGE, "--timeout must be longer than nothing");
    *ret_ms = ms;
    return CLI_OK;
}

static int goes_on(struct cli *c, int status, const char *id)
{
    if (status == CLI_INTERRUPTED)
        (void)fputc('\n', c->err); /* behind the terminal's ^C */
    return cli_fail(c, status, "%s; the deployment goes on: `" CLI_NAME " deployments watch %s` follows it",
                    status == CLI_TIMED_OUT ? "this took too long" : "interrupted", id);
}

static int end_status(struct cli *c, const json_t *deployment)
{
    const char *state = json_str(deployment, "status.state"), *message = json_str(deployment, "status.message");
    if (str_eq(state, "completed"))
        return CLI_OK;
    const char *how = str_eq(state, "rolled_back")  ? "was rolled back"
                      : str_eq(state, "cancelled")  ? "was cancelled"
                      : str_eq(state, "superseded") ? "was superseded"
                                                    : "failed";
    return cli_fail(c, CLI_FAILED, "the deployment of %s %s%s%s", json_str(deployment, "serviceName"), how,
                    message ? ": " : "", message ? message : "");
}

/* A hub that is away, or too busy to answer, is asked again; a refusal ends it. */
static bool comes_back(const struct api_reply *reply, int status)
{
    return status == CLI_UNREACHABLE || (status == CLI_TIMED_OUT && !reply->status) || reply->status == 429 ||
           reply->status == 502 || reply->status == 503 || reply->status == 504;
}

static int ask(struct progress *p, const char *path, struct api_reply *ret)
{
    struct api_request rq = { .path = path, .quiet = true, .timeout_ms = 10000 };
    struct api_reply fresh;
    int r = api_call(p->cli, &rq, &fresh);
    if (r == CLI_OK) {
        answer_done(ret);
        *ret = fresh;
        p->away = false;
        show_progress(p, json_object_get(ret->json, "deployment"));
        return CLI_OK;
    }
    p->away = comes_back(&fresh, r);
    if (p->away && p->term.tty && ret->json)
        show_progress(p, json_object_get(ret->json, "deployment"));
    if (!p->away && !cli_interrupted())
        api_explain(p->cli, &fresh, r);
    answer_done(&fresh);
    return p->away ? CLI_OK : r;
}

int follow_deployment(struct cli *c, const char *id, int64_t timeout_ms, struct api_reply *ret)
{
    struct progress p = { .cli = c };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, "/v1/deployments/");
    path_segment(&path, id);
    *ret = (struct api_reply){ 0 };
    term_init(&p.term, c->err);
    cli_catch_interrupts();
    int64_t deadline = clock_mono_ms() + timeout_ms;
    for (;;) {
        int r = ask(&p, buf_str(&path), ret);
        if (cli_interrupted())
            return goes_on(c, CLI_INTERRUPTED, id);
        if (r != CLI_OK)
            return r;
        const json_t *deployment = json_object_get(ret->json, "deployment");
        if (!p.away && deployment_has_ended(deployment))
            return end_status(c, deployment);
        if (clock_mono_ms() >= deadline)
            return goes_on(c, CLI_TIMED_OUT, id);
        (void)cli_sleep(ASK_MS);
    }
}

static int print_started(struct cli *c, const struct api_reply *started, const char *id)
{
    if (c->json)
        return reply_print(c, started);
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    (void)buf_printf(&out, "%s\n", id);
    (void)fprintf(c->err, "The deployment has started: `" CLI_NAME " deployments watch %s` follows it.\n", id);
    return cli_put(c, &out);
}

int follow_started(struct cli *c, const struct api_reply *started, const char *name, const char *done,
                   int64_t timeout_ms)
{
    const char *id = json_str(started->json, "deployment_id");
    if (!id)
        return cli_fail(c, CLI_FAILED, "the hub did not say which deployment it started");
    if (args_has(&c->args, "no-wait"))
        return print_started(c, started, id);
    _cleanup_reply_ struct api_reply last;
    int r = follow_deployment(c, id, timeout_ms, &last);
    if (c->json && last.json) {
        int printed = reply_print(c, &last);
        return r == CLI_OK ? printed : r;
    }
    if (r != CLI_OK || !done)
        return r;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    text_clean(&out, name, false);
    (void)buf_printf(&out, " %s\n", done);
    return cli_put(c, &out);
}
