/* One run of the command line: parse, find the hub, run the command, again where it is watched. */
#include "cli/cli_internal.h"
#include "cli/client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define WATCH_MS 2000
#define LINE_MAX_BYTES 8192

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number UNUSED)
{
    interrupted = 1;
}

void cli_catch_interrupts(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

bool cli_sleep(int ms)
{
    if (!interrupted)
        (void)poll(NULL, 0, ms);
    return !interrupted;
}

int cli_fail(struct cli *c, int status, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    _cleanup_buf_ struct buf clean;
    buf_init(&clean, 0);
    text_clean(&clean, text, true);
    (void)fprintf(c->err, CLI_NAME ": %s\n", buf_str(&clean));
    return status;
}

int cli_write_failed(struct cli *c)
{
    return errno == EPIPE ? CLI_FAILED : cli_fail(c, CLI_FAILED, "cannot write: %s", strerror(errno));
}

int cli_put(struct cli *c, struct buf *b)
{
    if (!buf_ok(b))
        return cli_fail(c, CLI_FAILED, "out of memory");
    bool written = fwrite(buf_str(b), 1, b->len, c->out) == b->len && fflush(c->out) == 0;
    return written ? CLI_OK : cli_write_failed(c);
}

static bool set_echo(FILE *in, bool on)
{
    struct termios t;
    if (tcgetattr(fileno(in), &t) < 0)
        return false;
    t.c_lflag = on ? t.c_lflag | ECHO : t.c_lflag & ~(tcflag_t)ECHO;
    return tcsetattr(fileno(in), TCSAFLUSH, &t) == 0;
}

char *cli_read_line(struct cli *c, const char *prompt, bool hidden)
{
    if (c->asks) {
        (void)fputs(prompt, c->err);
        (void)fflush(c->err);
    }
    if (hidden)
        cli_catch_interrupts(); /* ctrl-C must not leave the terminal without echo */
    bool silenced = hidden && c->asks && set_echo(c->in, false);
    char *line = malloc(LINE_MAX_BYTES);
    char *got = line ? fgets(line, LINE_MAX_BYTES, c->in) : NULL;
    if (silenced) {
        (void)set_echo(c->in, true);
        (void)fputc('\n', c->err);
    }
    if (!got) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

int cli_confirm(struct cli *c, const char *question)
{
    if (args_has(&c->args, "yes"))
        return CLI_OK;
    if (!c->asks)
        return cli_fail(c, CLI_USAGE, "%s Without a terminal, say --yes.", question);
    _cleanup_buf_ struct buf prompt;
    buf_init(&prompt, 0);
    text_clean(&prompt, question, false);
    (void)buf_puts(&prompt, " [y/N] ");
    _cleanup_free_ char *answer = cli_read_line(c, buf_str(&prompt), false);
    if (answer && (str_ieq(answer, "y") || str_ieq(answer, "yes")))
        return CLI_OK;
    return cli_fail(c, CLI_FAILED, "nothing was done");
}

static int usage_error(struct cli *c, const struct error *e)
{
    (void)cli_fail(c, CLI_USAGE, "%s", e->message);
    _cleanup_buf_ struct buf hint;
    buf_init(&hint, 0);
    if (c->args.command) {
        (void)buf_puts(&hint, "Usage: ");
        command_usage(c->args.command, &hint);
        (void)buf_puts(&hint, "\n");
    } else if (c->args.help_noun) {
        help_noun(c->args.help_noun, &hint);
    } else {
        (void)buf_puts(&hint, CLI_NAME " --help lists the commands.\n");
    }
    (void)fputs(buf_str(&hint), c->err);
    return CLI_USAGE;
}

static int show_help(struct cli *c)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    if (c->args.command)
        help_command(c->args.command, &out);
    else if (c->args.help_noun)
        help_noun(c->args.help_noun, &out);
    else
        help_overview(&out);
    return cli_put(c, &out);
}

int cli_help(struct cli *c)
{
    const char *noun = args_word(&c->args, 0), *verb = args_word(&c->args, 1);
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    if (args_has(&c->args, "markdown")) {
        help_markdown(&out);
        return cli_put(c, &out);
    }
    const struct cli_command *command = noun ? command_find(noun, verb) : NULL;
    if (noun && !command_is_noun(noun))
        return cli_fail(c, CLI_USAGE, "there is no command '%s'", noun);
    if (verb && !command)
        return cli_fail(c, CLI_USAGE, "there is no command '%s %s'", noun, verb);
    if (command)
        help_command(command, &out);
    else if (noun)
        help_noun(noun, &out);
    else
        help_overview(&out);
    return cli_put(c, &out);
}

int cli_man(struct cli *c)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    help_man(&out);
    return cli_put(c, &out);
}

int cli_version(struct cli *c)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    (void)buf_puts(&out, CLI_NAME " " HB_VERSION "\n");
    return cli_put(c, &out);
}

/* Renders into memory first, so that a terminal never shows half a picture. */
static int watch_once(struct cli *c, FILE *out)
{
    char *text = NULL;
    size_t len = 0;
    c->out = open_memstream(&text, &len);
    if (!c->out) {
        c->out = out;
        return cli_fail(c, CLI_FAILED, "out of memory");
    }
    int r = c->args.command->run(c);
    (void)fclose(c->out);
    c->out = out;
    if (c->term.tty && r == CLI_OK)
        (void)fputs("\033[H\033[2J", out);
    (void)fwrite(text, 1, len, out);
    (void)fflush(out);
    free(text);
    return r;
}

/* A hub that is away for a while does not end it; a refusal does. */
static int watch(struct cli *c)
{
    FILE *out = c->out;
    cli_catch_interrupts();
    do {
        term_init(&c->term, out);
        int r = watch_once(c, out);
        if (r != CLI_OK && r != CLI_UNREACHABLE && r != CLI_TIMED_OUT && !cli_interrupted())
            return r;
    } while (cli_sleep(WATCH_MS));
    return CLI_OK;
}

int cli_run(struct cli *c, int argc, char **argv)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = args_parse(&c->args, argc, argv, &e);
    if (r < 0)
        return usage_error(c, &e);
    const struct cli_command *command = c->args.command;
    if (c->args.help || !command)
        return show_help(c);
    if (!command->run)
        return cli_fail(c, CLI_USAGE, "%s is not reached this way", command->noun);
    c->json = args_has(&c->args, "json");
    r = command->flags & COMMAND_LOCAL ? CLI_OK : client_new(c, &c->client);
    if (r == CLI_OK)
        r = args_has(&c->args, "watch") ? watch(c) : command->run(c);
    client_free(c->client);
    c->client = NULL;
    return r;
}

int cli_main(int argc, char **argv)
{
    struct cli *c = calloc(1, sizeof *c);
    if (!c)
        return CLI_FAILED;
    c->in = stdin, c->out = stdout, c->err = stderr;
    (void)signal(SIGPIPE, SIG_IGN);
    term_init(&c->term, stdout);
    c->asks = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    int r = cli_run(c, argc - 1, argv + 1);
    free(c);
    return r;
}
