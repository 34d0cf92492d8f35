/* Shell completion. The scripts are a few lines: they ask `hbcloud __complete`, which answers from the command
 * table, and for names of nodes and services from the hub. */
#include "cli/cli_internal.h"
#include "cli/client.h"

#include <string.h>

#define ASK_MS 700 /* a shell must not wait for a hub that is slow */

static const char bash_script[] =
    "_hbcloud() {\n"
    "    local line candidates=() files=0 IFS=$'\\n'\n"
    "    while IFS=$'\\t' read -r line _; do\n"
    "        if [ \"$line\" = :files ]; then files=1; else candidates+=(\"$line\"); fi\n"
    "    done < <(hbcloud __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    COMPREPLY=($(compgen -W \"${candidates[*]}\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
    "    if [ \"$files\" = 1 ]; then\n"
    "        compopt -o filenames\n"
    "        COMPREPLY+=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
    "    fi\n"
    "}\n"
    "complete -F _hbcloud hbcloud\n";

static const char zsh_script[] =
    "#compdef hbcloud\n"
    "_hbcloud() {\n"
    "    local line files=0 candidates=()\n"
    "    while IFS=$'\\n' read -r line; do\n"
    "        if [[ $line == :files ]]; then\n"
    "            files=1\n"
    "        else\n"
    "            candidates+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
    "        fi\n"
    "    done < <(hbcloud __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    (( ${#candidates} )) && _describe -V command candidates\n"
    "    (( files )) && _files\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _hbcloud ]; then _hbcloud \"$@\"; else compdef _hbcloud hbcloud; fi\n";

static const char fish_script[] = "function __hbcloud_complete\n"
                                  "    set -l words (commandline -opc)[2..] (commandline -ct)\n"
                                  "    for line in (hbcloud __complete $words 2>/dev/null)\n"
                                  "        if test \"$line\" = :files\n"
                                  "            __fish_complete_path (commandline -ct)\n"
                                  "        else\n"
                                  "            echo $line\n"
                                  "        end\n"
                                  "    end\n"
                                  "end\n"
                                  "complete -c hbcloud -f -a '(__hbcloud_complete)'\n";

static const struct {
    const char *shell, *script;
} scripts[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

int cli_completion(struct cli *c)
{
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        if (!str_eq(scripts[i].shell, args_word(&c->args, 0)))
            continue;
        _cleanup_buf_ struct buf out;
        buf_init(&out, 0);
        (void)buf_puts(&out, scripts[i].script);
        return cli_put(c, &out);
    }
    return CLI_USAGE; /* the table's choices are these shells */
}

struct completing {
    struct cli *cli;
    struct buf *out;
    const char *prefix; /* what was typed of the word */
};

static void offer(struct completing *k, const char *word, const char *help)
{
    if (!str_starts(word, k->prefix) || strpbrk(word, "\t\r\n"))
        return;
    (void)buf_printf(k->out, "%s\t", word);
    text_clean(k->out, help ? help : "", false);
    (void)buf_putc(k->out, '\n');
}

static void offer_choices(struct completing *k, const char *choices)
{
    while (choices && *choices) {
        char word[64];
        size_t len = strcspn(choices, " ");
        str_copy(word, len < sizeof word ? len + 1 : sizeof word, choices);
        offer(k, word, NULL);
        choices += len + (choices[len] == ' ');
    }
}

static const struct {
    enum word_kind kind;
    const char *path, *list, *name, *help;
} entities[] = {
    { WORD_NODE, "/v1/infrastructure/nodes?limit=1000", "nodes", "name", "status" },
    { WORD_SERVICE, "/v1/services?limit=1000", "services", "name", "status.deployment" },
    { WORD_DEPLOYMENT, "/v1/deployments?limit=30", "deployments", "id", "serviceName" },
    { WORD_KEY, "/v1/keys?limit=1000", "keys", "id", "name" },
};

static void offer_entities(struct completing *k, enum word_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(entities); i++) {
        if (entities[i].kind != kind)
            continue;
        if (!k->cli->client && client_new(k->cli, &k->cli->client) != CLI_OK)
            return;
        struct api_request rq = { .path = entities[i].path, .timeout_ms = ASK_MS, .quiet = true };
        _cleanup_reply_ struct api_reply reply;
        if (api_call(k->cli, &rq, &reply) != CLI_OK)
            return;
        size_t n;
        json_t *item;
        json_array_foreach (json_object_get(reply.json, entities[i].list), n, item) {
            const char *name = json_str(item, entities[i].name);
            if (name)
                offer(k, name, json_str(item, entities[i].help));
        }
    }
}

static void offer_value(struct completing *k, enum word_kind kind, const char *choices)
{
    if (kind == WORD_FILE)
        (void)buf_puts(k->out, ":files\n");
    else if (kind == WORD_CHOICE)
        offer_choices(k, choices);
    else
        offer_entities(k, kind);
}

/* Nouns where `noun` is NULL, else that noun's verbs; each word once. */
static void offer_commands(struct completing *k, const char *noun)
{
    const char *last = "";
    for (size_t i = 0; i < cli_commands_len; i++) {
        const struct cli_command *command = &cli_commands[i];
        const char *word = noun ? command->verb : command->noun;
        if (command->flags & COMMAND_HIDDEN || (noun && !str_eq(noun, command->noun)) || !word || str_eq(word, last))
            continue;
        last = word;
        offer(k, word, noun || !command->verb ? command->summary : NULL);
    }
}

static const struct cli_option *option_named(const struct cli_command *command, const char *word)
{
    const struct cli_option *all[COMMAND_ALL_OPTIONS];
    size_t n = command_options(command, all);
    for (size_t i = 0; i < n; i++)
        if ((str_starts(word, "--") && str_eq(all[i]->name, word + 2)) ||
            (word[0] == '-' && word[1] && word[1] == all[i]->letter && !word[2]))
            return all[i];
    return NULL;
}

static void offer_options(struct completing *k, const struct cli_command *command)
{
    const struct cli_option *all[COMMAND_ALL_OPTIONS];
    size_t n = command_options(command, all);
    for (size_t i = 0; i < n; i++) {
        char word[64];
        (void)snprintf(word, sizeof word, "--%s", all[i]->name);
        offer(k, word, all[i]->help);
    }
    offer(k, "--help", "Explain the command.");
}

/* Which argument comes next: words before, without options and their values. */
static const struct cli_argument *argument_after(const struct cli_command *command, const char *const *words, size_t n)
{
    size_t given = 0;
    for (size_t i = 0; i < n; i++) {
        const struct cli_option *o = words[i][0] == '-' ? option_named(command, words[i]) : NULL;
        if (o && o->value)
            i++;
        else if (words[i][0] != '-')
            given++;
    }
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && command->arguments[i].name; i++)
        if (i == given || (command->arguments[i].repeat && given > i))
            return &command->arguments[i];
    return NULL;
}

static void complete_command(struct completing *k, const struct cli_command *command, const char *const *words,
                             size_t n)
{
    const struct cli_option *o = n > 0 && words[n - 1][0] == '-' ? option_named(command, words[n - 1]) : NULL;
    if (o && o->value) {
        offer_value(k, o->kind, o->choices);
        return;
    }
    const struct cli_argument *arg = argument_after(command, words, n);
    if (k->prefix[0] == '-')
        offer_options(k, command);
    else if (arg && arg->kind == WORD_COMMAND)
        offer_commands(k, n ? words[0] : NULL);
    else if (arg)
        offer_value(k, arg->kind, arg->choices);
}

/* --url and --key-file of the line that is being completed decide whom to ask; others are left aside. */
static void take_hub_options(struct cli *c, const struct cli_command *command, const char *const *words, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        const struct cli_option *o = words[i][0] == '-' ? option_named(command, words[i]) : NULL;
        if (!o || c->args.n_options == ARGS_MAX || !(str_eq(o->name, "url") || str_eq(o->name, "key-file")))
            continue;
        c->args.options[c->args.n_options].option = o;
        c->args.options[c->args.n_options++].value = words[i + 1];
    }
}

int cli_complete(struct cli *c)
{
    const char *const *words = c->args.words;
    size_t n = c->args.n_words;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    struct completing k = { .cli = c, .out = &out, .prefix = n ? words[n - 1] : "" };
    const struct cli_command *one = n > 1 ? command_find(words[0], NULL) : NULL;
    const struct cli_command *two = n > 2 ? command_find(words[0], words[1]) : NULL;
    const struct cli_command *command = one ? one : two;
    if (n <= 1)
        offer_commands(&k, NULL);
    else if (!command && n == 2)
        offer_commands(&k, words[0]);
    else if (command) {
        size_t skip = one ? 1 : 2;
        take_hub_options(c, command, words + skip, n - skip - 1);
        complete_command(&k, command, words + skip, n - skip - 1);
    }
    return cli_put(c, &out);
}
