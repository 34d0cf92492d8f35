#include "cli/args.h"

#include "base/nearest.h"
#include "base/str.h"

#include <string.h>

struct input {
    int argc, at;
    char **argv;
    struct error *error;
};

static const char *noun_at(const void *ctx UNUSED, size_t i)
{
    return cli_commands[i].flags & COMMAND_HIDDEN ? NULL : cli_commands[i].noun;
}

/* Verbs of the noun in `ctx` alone. */
static const char *verb_at(const void *ctx, size_t i)
{
    return str_eq(cli_commands[i].noun, ctx) ? cli_commands[i].verb : NULL;
}

static int unknown_noun(const char *word, struct error *e)
{
    const char *near = nearest_word(word, noun_at, NULL, cli_commands_len);
    return error_set(e, ERR_MALFORMED, "there is no command '%.60s'%s%s%s", word, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
}

static int unknown_verb(const char *noun, const char *word, struct error *e)
{
    const char *near = nearest_word(word, verb_at, noun, cli_commands_len);
    return error_set(e, ERR_MALFORMED, "there is no command '%s %.60s'%s%s%s%s%s", noun, word,
                     near ? "; did you mean '" : "", near ? noun : "", near ? " " : "", near ? near : "",
                     near ? "'?" : "");
}

static bool is_help(const char *word)
{
    return str_eq(word, "--help") || str_eq(word, "-h");
}

/* Finds the command; 1: help was asked for instead of one. */
static int find_command(struct args *a, struct input *in)
{
    const char *noun = in->argc > 0 ? in->argv[0] : NULL;
    if (!noun || is_help(noun)) {
        a->help = true;
        return noun ? 1 : error_set(in->error, ERR_MALFORMED, "which command?");
    }
    if (*noun == '-')
        return error_set(in->error, ERR_MALFORMED, "a command comes first, then options such as %.60s", noun);
    if (!command_is_noun(noun))
        return unknown_noun(noun, in->error);
    a->command = command_find(noun, NULL);
    in->at = 1;
    if (a->command)
        return 0;
    a->help_noun = noun;
    const char *verb = in->argc > 1 ? in->argv[1] : NULL;
    if (!verb)
        return error_set(in->error, ERR_MALFORMED, "%s needs one of its commands", noun);
    if (is_help(verb)) {
        a->help = true;
        return 1;
    }
    a->command = command_find(noun, verb);
    in->at = 2;
    return a->command ? 0 : unknown_verb(noun, verb, in->error);
}

struct known {
    const struct cli_option *all[COMMAND_ALL_OPTIONS];
    size_t n;
};

static const char *option_at(const void *ctx, size_t i)
{
    return ((const struct known *)ctx)->all[i]->name;
}

static int check_value(const struct cli_option *o, const char *value, struct error *e)
{
    int64_t whole;
    double number;
    if (o->kind == WORD_CHOICE) {
        size_t len = strlen(value);
        for (const char *p = o->choices; len && (p = strstr(p, value)); p += len)
            if ((p == o->choices || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
                return 0;
        return error_set(e, ERR_MALFORMED, "--%s must be one of: %s; not '%.60s'", o->name, o->choices, value);
    }
    if (o->kind == WORD_NUMBER && str_to_double(value, &number) < 0)
        return error_set(e, ERR_MALFORMED, "--%s must be a number, not '%.60s'", o->name, value);
    if (o->kind == WORD_DURATION && str_to_duration_ms(value, &whole) < 0)
        return error_set(e, ERR_MALFORMED, "--%s must be a duration such as 30s, 5m or 1h, not '%.60s'", o->name,
                         value);
    return 0;
}

static int add_option(struct args *a, const struct cli_option *o, const char *value, struct error *e)
{
    if (a->n_options == ARGS_MAX)
        return error_set(e, ERR_MALFORMED, "there are more than %d options", ARGS_MAX);
    if (!o->repeat && args_has(a, o->name))
        return error_set(e, ERR_MALFORMED, "--%s is given twice", o->name);
    int r = value ? check_value(o, value, e) : 0;
    if (r < 0)
        return r;
    a->options[a->n_options].option = o;
    a->options[a->n_options++].value = value;
    return 0;
}

/* "--name", "--name=value", "--name value". */
static int parse_long(struct args *a, const struct known *known, struct input *in)
{
    const char *text = in->argv[in->at] + 2, *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    char name[64];
    str_copy(name, len < sizeof name ? len + 1 : sizeof name, text);
    for (size_t i = 0; i < known->n; i++) {
        const struct cli_option *o = known->all[i];
        if (!str_eq(o->name, name))
            continue;
        const char *value = equals ? equals + 1 : NULL;
        if (!o->value && value)
            return error_set(in->error, ERR_MALFORMED, "--%s takes no value", o->name);
        if (o->value && !value && in->at + 1 < in->argc)
            value = in->argv[++in->at];
        if (o->value && !value)
            return error_set(in->error, ERR_MALFORMED, "--%s needs a value: %s", o->name, o->value);
        return add_option(a, o, value, in->error);
    }
    const char *near = nearest_word(name, option_at, known, known->n);
    return error_set(in->error, ERR_MALFORMED, "there is no option --%s here%s%s%s", name,
                     near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

/* "-f", "-fvalue", "-f value". */
static int parse_short(struct args *a, const struct known *known, struct input *in)
{
    const char *text = in->argv[in->at] + 1;
    for (size_t i = 0; i < known->n; i++) {
        const struct cli_option *o = known->all[i];
        if (!o->letter || o->letter != *text)
            continue;
        const char *value = text[1] ? text + 1 : NULL;
        if (!o->value && value)
            return error_set(in->error, ERR_MALFORMED, "-%c takes no value", o->letter);
        if (o->value && !value && in->at + 1 < in->argc)
            value = in->argv[++in->at];
        if (o->value && !value)
            return error_set(in->error, ERR_MALFORMED, "-%c needs a value: %s", o->letter, o->value);
        return add_option(a, o, value, in->error);
    }
    return error_set(in->error, ERR_MALFORMED, "there is no option -%.1s here", text);
}

static int add_word(struct args *a, const char *word, struct error *e)
{
    size_t most = 0;
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && a->command->arguments[i].name; i++)
        most = a->command->arguments[i].repeat ? ARGS_MAX : i + 1;
    if (a->n_words >= most)
        return error_set(e, ERR_MALFORMED, most ? "one word too many: '%.60s'" : "no argument is taken here: '%.60s'",
                         word);
    a->words[a->n_words++] = word;
    return 0;
}

static int check_words(const struct args *a, struct error *e)
{
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && a->command->arguments[i].name; i++) {
        const struct cli_argument *arg = &a->command->arguments[i];
        if (i >= a->n_words)
            return arg->optional ? 0 : error_set(e, ERR_MALFORMED, "%s is missing", arg->name);
        if (!*a->words[i])
            return error_set(e, ERR_MALFORMED, "%s is empty", arg->name);
        struct cli_option as_option = { .name = arg->name, .kind = WORD_CHOICE, .choices = arg->choices };
        if (arg->kind == WORD_CHOICE && check_value(&as_option, a->words[i], NULL) < 0)
            return error_set(e, ERR_MALFORMED, "%s must be one of: %s; not '%.60s'", arg->name, arg->choices,
                             a->words[i]);
    }
    return 0;
}

int args_parse(struct args *a, int argc, char **argv, struct error *e)
{
    *a = (struct args){ 0 };
    for (int i = 0; i < argc; i++)
        if (!str_is_utf8(argv[i], strlen(argv[i])))
            return error_set(e, ERR_MALFORMED, "word %d of the command is not UTF-8", i + 1);
    struct input in = { .argc = argc, .argv = argv, .error = e };
    int r = find_command(a, &in);
    if (r != 0)
        return r < 0 ? r : 0;
    struct known known;
    known.n = command_options(a->command, known.all);
    bool raw = (a->command->flags & COMMAND_RAW) != 0;
    for (bool words_only = false; r == 0 && in.at < argc; in.at++) {
        const char *arg = argv[in.at];
        if (raw)
            r = add_word(a, arg, e);
        else if (!words_only && str_eq(arg, "--"))
            words_only = true;
        else if (!words_only && is_help(arg))
            a->help = true;
        else if (!words_only && str_starts(arg, "--"))
            r = parse_long(a, &known, &in);
        else if (!words_only && *arg == '-' && arg[1])
            r = parse_short(a, &known, &in);
        else
            r = add_word(a, arg, e);
    }
    return r < 0 || a->help || raw ? r : check_words(a, e);
}

const char *args_word(const struct args *a, size_t i)
{
    return i < a->n_words ? a->words[i] : NULL;
}

const char *args_get(const struct args *a, const char *option)
{
    const char *found = NULL;
    for (size_t i = 0; i < a->n_options; i++)
        if (str_eq(a->options[i].option->name, option))
            found = a->options[i].value;
    return found;
}

bool args_has(const struct args *a, const char *option)
{
    for (size_t i = 0; i < a->n_options; i++)
        if (str_eq(a->options[i].option->name, option))
            return true;
    return false;
}

const char *args_each(const struct args *a, const char *option, size_t *cursor)
{
    while (*cursor < a->n_options) {
        size_t i = (*cursor)++;
        if (str_eq(a->options[i].option->name, option))
            return a->options[i].value;
    }
    return NULL;
}
