/* Volumes and networks belong to services and outlive their containers: what there is on every node, who uses it, and
 * removal that needs the name typed and leaves a snapshot unless that is refused. Snapshots are compressed tar files
 * below DATA/snapshots; making one and removing a volume are jobs.
 * Ownership: one a hub; borrows store, runtime, jobs and events. Thread-safe. */
#ifndef HB_VOLUMES_H
#define HB_VOLUMES_H

#include "jobs/jobs.h"
#include "runtime/runtime.h"

struct volumes;
struct volumes_options {
    struct store *store;
    struct runtime *runtime;
    struct jobs *jobs;
    struct events *events;      /* snapshot.created, volume.deleted …; NULL: nobody is told */
    const char *data_directory;
    int64_t snapshots_bytes;    /* all snapshots together; one that would go above is not made. 0: 20 GiB */
};
/* Registers its job kinds: call before jobs_start. The runtime uses it from then on when a service goes. */
int volumes_open(const struct volumes_options *o, struct volumes **ret, struct error *e);
void volumes_close(struct volumes *v); /* after jobs_stop */

/* A job that removes the volume, after a snapshot unless that is refused. `who` asked for it. Validates nothing: the job
 * does. */
int volumes_remove_later(struct volumes *v, const char *node_id, const char *volume, bool snapshot, const char *who,
                         char ret_job[37], struct error *e);
/* An instance goes: whose its volumes were is kept. */
int volumes_remember(struct volumes *v, const json_t *instance, struct error *e);

/* A container that is only made to read from it, never started; its value is the job that made it. */
#define LABEL_HELPER "hbcloud.helper"

extern const struct api_operation volume_operations[];
extern const size_t volume_operation_count;

#endif
