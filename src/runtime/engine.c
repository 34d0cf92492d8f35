#include "runtime/engine.h"

void engine_container_done(struct engine_container *c)
{
    if (!c)
        return;
    free(c->name);
    free(c->image);
    free(c->image_id);
    free(c->command);
    free(c->state);
    free(c->health_output);
    free(c->error);
    json_decref(c->labels);
    json_decref(c->environment_keys);
    for (size_t i = 0; i < c->mount_count; i++) {
        free(c->mounts[i].kind);
        free(c->mounts[i].source);
        free(c->mounts[i].target);
    }
    free(c->mounts);
    free(c->ports);
    *c = (struct engine_container){ 0 };
}

void engine_volumes_free(struct engine_volume *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) {
        free(list[i].name);
        free(list[i].driver);
        free(list[i].mountpoint);
        json_decref(list[i].labels);
    }
    free(list);
}

void engine_networks_free(struct engine_network *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) {
        free(list[i].id);
        free(list[i].name);
        free(list[i].driver);
        json_decref(list[i].labels);
    }
    free(list);
}

void engine_containers_free(struct engine_container *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++)
        engine_container_done(&list[i]);
    free(list);
}

void engine_image_done(struct engine_image *i)
{
    if (!i)
        return;
    free(i->id);
    json_decref(i->digests);
    json_decref(i->exposed_ports);
    *i = (struct engine_image){ 0 };
}
