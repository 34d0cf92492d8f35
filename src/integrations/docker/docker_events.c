#include "integrations/docker/docker_events.h"

#include "base/json.h"
#include "base/str.h"

static int64_t time_of(const json_t *line)
{
    int64_t ns = json_int(line, "timeNano", 0);
    return ns > 0 ? ns / 1000000 : json_int(line, "time", 0) * 1000;
}

bool docker_event_parse(const json_t *line, struct engine_event *ret)
{
    struct engine_event ev = { .at_ms = time_of(line) };
    const char *type = json_str(line, "Type"), *action = json_str(line, "Action"), *id = json_str(line, "Actor.ID");
    const char *name = json_str(line, "Actor.Attributes.name");
    if (!type || !action || !id || !*id)
        return false;
    str_copy(ev.type, sizeof(ev.type), type);
    str_copy(ev.action, sizeof(ev.action), action);
    if (str_starts(action, "exec_")) /* "exec_start: program --password=…" */
        ev.action[strcspn(ev.action, ":")] = '\0';
    str_copy(ev.id, sizeof(ev.id), id);
    str_copy(ev.name, sizeof(ev.name), name ? name : "");
    *ret = ev;
    return true;
}
