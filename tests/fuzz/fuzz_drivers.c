/* What comes from outside to the drivers: an SSH address, and answers about volumes, networks and services of a cluster.
 * The first byte says which; an answer about a service has its tasks after the first NUL. */
#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker_parse.h"
#include "integrations/docker/docker_ssh_session.h"
#include "integrations/swarm/swarm_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void address(const char *text, size_t len)
{
    struct docker_ssh_address a = { 0 };
    _cleanup_free_ char *url = strndup(text, len);
    if (!url || docker_ssh_address_parse(url, &a, NULL) < 0)
        return;
    if (!*a.host || *a.host == '-' || (a.user && (!*a.user || *a.user == '-')) || *a.socket != '/' || !a.port ||
        strchr(a.host, ' ') || strchr(a.socket, '\''))
        abort();
    docker_ssh_address_done(&a);
}

static void lists(const json_t *answer)
{
    struct engine_volume *volumes;
    struct engine_network *networks;
    size_t n;
    if (docker_parse_volumes(answer, &volumes, &n, NULL) == 0)
        engine_volumes_free(volumes, n);
    if (docker_parse_networks(answer, &networks, &n, NULL) == 0)
        engine_networks_free(networks, n);
}

static void service(const char *text, size_t len)
{
    _cleanup_json_ json_t *service = NULL, *tasks = NULL;
    struct scheduler_status s;
    const char *cut = memchr(text, '\0', len);
    if (!cut || json_parse(text, (size_t)(cut - text), &service, NULL) < 0 ||
        json_parse(cut + 1, len - (size_t)(cut - text) - 1, &tasks, NULL) < 0)
        return;
    if (swarm_status_read(service, tasks, &s, NULL) == 0) {
        if (s.running > json_array_size(tasks))
            abort();
        scheduler_status_done(&s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const char *text = (const char *)data + 1;
    _cleanup_json_ json_t *answer = NULL;
    if (data[0] % 3 == 0)
        address(text, size - 1);
    else if (data[0] % 3 == 1 && json_parse(text, size - 1, &answer, NULL) == 0)
        lists(answer);
    else if (data[0] % 3 == 2)
        service(text, size - 1);
    return 0;
}
