/* Everything that explains the commands, made from their table. */
#include "base/str.h"
#include "cli/cli.h"
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#define WRAP 100

static const struct {
    int status;
    const char *meaning;
} statuses[] = {
    { CLI_OK, "done" },
    { CLI_FAILED, "refused or failed" },
    { CLI_USAGE, "wrong usage" },
    { CLI_UNREACHABLE, "no hub can be reached" },
    { CLI_NOT_ALLOWED, "not allowed" },
    { CLI_TIMED_OUT, "timed out" },
};

static const struct {
    const char *name, *meaning;
} variables[] = {
    { "HBCLOUD_URL", "Where the hub is; --url wins over it." },
    { "HBCLOUD_API_KEY", "The API key; --key-file wins over it." },
    { "SSL_CERT_FILE", "Certificates (PEM) to trust, for a hub whose own certificate no public authority signed." },
    { "NO_COLOR", "No colours." },
}, paths[] = {
    { "~/.config/hbcloud/config.yaml", "The hub's address and the API key that login saved." },
    { "~/.config/hbcloud/hub.yaml", "Settings of the hub, where /etc/hbcloud/config.yaml is not there." },
    { "/etc/hbcloud/config.yaml", "Settings of the hub." },
    { "DIR/owner.key", "The owner's API key, made at the hub's first start; used on the hub's own machine." },
};

/* A paragraph, wrapped at WRAP columns. */
static void put_wrapped(struct buf *out, const char *text, const char *indent)
{
    size_t at = strlen(indent);
    (void)buf_puts(out, indent);
    for (const char *word = text; *word;) {
        size_t len = strcspn(word, " ");
        if (at > strlen(indent) && at + 1 + len > WRAP) {
            (void)buf_printf(out, "\n%s", indent);
            at = strlen(indent);
        } else if (at > strlen(indent)) {
            (void)buf_putc(out, ' ');
            at++;
        }
        (void)buf_append(out, word, len);
        at += len;
        word += len + (word[len] == ' ');
    }
    (void)buf_putc(out, '\n');
}

static void put_lines(struct buf *out, const char *text, const char *before)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        (void)buf_printf(out, "%s%.*s\n", before, (int)len, text);
        text += len + (text[len] == '\n');
    }
}

/* "-f, --file FILE" */
static void option_text(const struct cli_option *o, char ret[96])
{
    char letter[8] = "    ";
    if (o->letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
    bool choice = o->kind == WORD_CHOICE;
    (void)snprintf(ret, 96, "%s--%s%s%s", letter, o->name, o->value ? " " : "",
                   !o->value ? ""
                   : choice  ? "WORD"
                             : o->value);
}

static void put_option(struct buf *out, const struct cli_option *o, int width)
{
    char text[96];
    option_text(o, text);
    (void)buf_printf(out, "  %-*s  %s", width, text, o->help);
    if (o->choices)
        (void)buf_printf(out, " One of: %s.", o->choices);
    (void)buf_puts(out, o->repeat ? " May be repeated.\n" : "\n");
}

static void put_options(struct buf *out, const struct cli_command *command)
{
    const struct cli_option *all[COMMAND_ALL_OPTIONS];
    size_t n = command_options(command, all);
    int width = 12;
    for (size_t i = 0; i < n; i++) {
        char text[96];
        option_text(all[i], text);
        if ((int)strlen(text) > width)
            width = (int)strlen(text);
    }
    (void)buf_puts(out, "\nOptions:\n");
    for (size_t i = 0; i < n; i++)
        put_option(out, all[i], width);
    (void)buf_printf(out, "  %-*s  %s\n", width, "-h, --help", "This text.");
}

void help_command(const struct cli_command *command, struct buf *out)
{
    (void)buf_printf(out, "%s\n\nUsage: ", command->summary);
    command_usage(command, out);
    (void)buf_putc(out, '\n');
    if (command->details) {
        (void)buf_putc(out, '\n');
        put_wrapped(out, command->details, "");
    }
    put_options(out, command);
    if (command->examples) {
        (void)buf_puts(out, "\nExamples:\n");
        put_lines(out, command->examples, "  ");
    }
}

static void put_summary(struct buf *out, const struct cli_command *command)
{
    char name[64];
    command_name(command, name);
    (void)buf_printf(out, "  %-20s  %s\n", name, command->summary);
}

void help_noun(const char *noun, struct buf *out)
{
    (void)buf_printf(out, "Usage: " CLI_NAME " %s <command> [options]\n\nCommands:\n", noun);
    for (size_t i = 0; i < cli_commands_len; i++)
        if (str_eq(cli_commands[i].noun, noun))
            put_summary(out, &cli_commands[i]);
    (void)buf_printf(out, "\n" CLI_NAME " %s <command> --help explains each.\n", noun);
}

void help_overview(struct buf *out)
{
    (void)buf_puts(out,
                   CLI_NAME ", the control plane of a personal cloud\n\nUsage: " CLI_NAME " <command> [options]\n");
    const char *last = "";
    for (size_t i = 0; i < cli_commands_len; i++) {
        const struct cli_command *command = &cli_commands[i];
        if (command->flags & COMMAND_HIDDEN)
            continue;
        const struct cli_command *before = i ? &cli_commands[i - 1] : NULL;
        if (!before || (!str_eq(command->noun, last) && (command->verb || before->verb)))
            (void)buf_putc(out, '\n');
        last = command->noun;
        put_summary(out, command);
    }
    (void)buf_puts(out, "\n" CLI_NAME " <command> --help explains each. Exit status:");
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        (void)buf_printf(out, "%s %d %s", i ? "," : "", statuses[i].status, statuses[i].meaning);
    (void)buf_puts(out, ".\n");
}

/* ---- Markdown */

static void markdown_command(struct buf *out, const struct cli_command *command)
{
    char name[64];
    const struct cli_option *all[COMMAND_ALL_OPTIONS];
    size_t n = command_options(command, all);
    command_name(command, name);
    (void)buf_printf(out, "\n## %s\n\n%s.%s%s\n\n```\n", name, command->summary, command->details ? " " : "",
                     command->details ? command->details : "");
    command_usage(command, out);
    (void)buf_puts(out, "\n```\n");
    for (size_t i = 0; i < n; i++) {
        char text[96];
        option_text(all[i], text);
        (void)buf_printf(out, "%s- `%s`: %s", i ? "" : "\n", text + strspn(text, " "), all[i]->help);
        if (all[i]->choices)
            (void)buf_printf(out, " One of: %s.", all[i]->choices);
        (void)buf_puts(out, all[i]->repeat ? " May be repeated.\n" : "\n");
    }
    if (command->examples)
        (void)buf_printf(out, "\n```sh\n%s\n```\n", command->examples);
}

void help_markdown(struct buf *out)
{
    (void)buf_puts(
        out, "# The command line\n\nMade by `" CLI_NAME " help --markdown`; do not edit.\n\n"
             "A client of the hub's API. Lists are tables that fit the terminal; `--json` prints what the API said,\n"
             "unchanged. Without a terminal there are no colours, no bars and no prompts (`--yes` instead).\n\n"
             "| exit status | means |\n|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        (void)buf_printf(out, "| %d | %s |\n", statuses[i].status, statuses[i].meaning);
    (void)buf_puts(out, "\n| variable | means |\n|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        (void)buf_printf(out, "| `%s` | %s |\n", variables[i].name, variables[i].meaning);
    (void)buf_puts(out, "\n| file | holds |\n|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        (void)buf_printf(out, "| `%s` | %s |\n", paths[i].name, paths[i].meaning);
    for (size_t i = 0; i < cli_commands_len; i++)
        if (!(cli_commands[i].flags & COMMAND_HIDDEN))
            markdown_command(out, &cli_commands[i]);
}

/* ---- the manual page */

/* roff reads backslashes, dashes, and dots and quotes that begin a line. */
static void roff(struct buf *out, const char *text)
{
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\''))
            (void)buf_puts(out, "\\&");
        if (*text == '\\')
            (void)buf_puts(out, "\\e");
        else if (*text == '-')
            (void)buf_puts(out, "\\-");
        else
            (void)buf_putc(out, *text);
        begins = *text == '\n';
    }
}

static void roff_item(struct buf *out, const char *term, const char *text)
{
    (void)buf_puts(out, ".TP\n.B ");
    roff(out, term);
    (void)buf_putc(out, '\n');
    roff(out, text);
    (void)buf_putc(out, '\n');
}

static void man_command(struct buf *out, const struct cli_command *command)
{
    const struct cli_option *all[COMMAND_ALL_OPTIONS];
    size_t n = command_options(command, all);
    _cleanup_buf_ struct buf usage;
    buf_init(&usage, 0);
    command_usage(command, &usage);
    (void)buf_puts(out, ".SS ");
    roff(out, buf_str(&usage));
    (void)buf_putc(out, '\n');
    roff(out, command->summary);
    (void)buf_puts(out, ".\n");
    if (command->details) {
        roff(out, command->details);
        (void)buf_putc(out, '\n');
    }
    for (size_t i = 0; i < n; i++) {
        char text[96], help[400];
        option_text(all[i], text);
        (void)snprintf(help, sizeof help, "%s%s%s%s%s", all[i]->help, all[i]->choices ? " One of: " : "",
                       all[i]->choices ? all[i]->choices : "", all[i]->choices ? "." : "",
                       all[i]->repeat ? " May be repeated." : "");
        roff_item(out, text + strspn(text, " "), help);
    }
    if (command->examples) {
        (void)buf_puts(out, ".PP\n.nf\n");
        roff(out, command->examples);
        (void)buf_puts(out, "\n.fi\n");
    }
}

void help_man(struct buf *out)
{
    (void)buf_puts(
        out, ".TH HBCLOUD 1 \"\" \"" CLI_NAME " " HB_VERSION "\" \"User Commands\"\n"
             ".SH NAME\n" CLI_NAME " \\- the control plane of a personal cloud\n"
             ".SH SYNOPSIS\n.B " CLI_NAME "\n.I command\n[options]\n"
             ".SH DESCRIPTION\nKnows the machines of a personal cloud, runs services on them, keeps their metrics "
             "and records every deployment.\n.B " CLI_NAME " serve\nis the hub; every other command is a client of "
             "its API.\nLists are tables that fit the terminal;\n.B \\-\\-json\nprints what the API said, unchanged. "
             "Without a terminal there are no colours, no bars and no prompts.\n.SH COMMANDS\n");
    for (size_t i = 0; i < cli_commands_len; i++)
        if (!(cli_commands[i].flags & COMMAND_HIDDEN))
            man_command(out, &cli_commands[i]);
    (void)buf_puts(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        char number[12];
        (void)snprintf(number, sizeof number, "%d", statuses[i].status);
        roff_item(out, number, statuses[i].meaning);
    }
    (void)buf_puts(out, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        roff_item(out, variables[i].name, variables[i].meaning);
    (void)buf_puts(out, ".SH FILES\n");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        roff_item(out, paths[i].name, paths[i].meaning);
}
