#include "cli/command.h"

#include "base/str.h"

#include <stdio.h>

static const struct cli_option watch_option = { .name = "watch",
                                                .letter = 'w',
                                                .help = "Show it anew every 2 seconds, until ctrl-C." };
static const struct cli_option list_options[] = {
    { .name = "limit", .value = "N", .kind = WORD_NUMBER, .help = "At most this many." },
    { .name = "cursor", .value = "CURSOR", .help = "Go on where a page ended: the `next` of its --json." },
};
static const struct cli_option yes_option = { .name = "yes",
                                              .letter = 'y',
                                              .help = "Do not ask; needed where there is no terminal." };
static const struct cli_option hub_options[] = {
    { .name = "url",
      .value = "URL",
      .help = "Where the hub is; else HBCLOUD_URL, the login's, http://127.0.0.1:3000." },
    { .name = "key-file",
      .value = "FILE",
      .kind = WORD_FILE,
      .help = "A file that holds the API key; else HBCLOUD_API_KEY, the login's, an owner.key." },
    { .name = "json", .help = "Print what the API said, unchanged." },
};

const struct cli_command *command_find(const char *noun, const char *verb)
{
    for (size_t i = 0; i < cli_commands_len; i++)
        if (str_eq(cli_commands[i].noun, noun) && str_eq(cli_commands[i].verb, verb))
            return &cli_commands[i];
    return NULL;
}

bool command_is_noun(const char *noun)
{
    for (size_t i = 0; i < cli_commands_len; i++)
        if (str_eq(cli_commands[i].noun, noun))
            return true;
    return false;
}

size_t command_options(const struct cli_command *command, const struct cli_option *ret[COMMAND_ALL_OPTIONS])
{
    size_t n = 0;
    for (const struct cli_option *o = command->options; o && o->name && n < COMMAND_OPTIONS_MAX; o++)
        ret[n++] = o;
    for (size_t i = 0; command->flags & COMMAND_LIST && i < ARRAY_LEN(list_options); i++)
        ret[n++] = &list_options[i];
    if (command->flags & (COMMAND_LIST | COMMAND_WATCH))
        ret[n++] = &watch_option;
    if (command->flags & COMMAND_ASKS)
        ret[n++] = &yes_option;
    for (size_t i = 0; !(command->flags & COMMAND_LOCAL) && i < ARRAY_LEN(hub_options); i++)
        ret[n++] = &hub_options[i];
    return n;
}

void command_name(const struct cli_command *command, char ret[64])
{
    (void)snprintf(ret, 64, "%s%s%s", command->noun, command->verb ? " " : "", command->verb ? command->verb : "");
}

void command_usage(const struct cli_command *command, struct buf *out)
{
    char name[64];
    const struct cli_option *all[COMMAND_ALL_OPTIONS];
    command_name(command, name);
    (void)buf_printf(out, CLI_NAME " %s", name);
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && command->arguments[i].name; i++) {
        const struct cli_argument *a = &command->arguments[i];
        (void)buf_printf(out, " %s%s%s%s", a->optional ? "[" : "", a->name, a->repeat ? "..." : "",
                         a->optional ? "]" : "");
    }
    if (command_options(command, all) > 0)
        (void)buf_puts(out, " [options]");
}
