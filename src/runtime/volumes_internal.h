/* What the files of volumes share. Internal to the room. */
#ifndef HB_RUNTIME_VOLUMES_INTERNAL_H
#define HB_RUNTIME_VOLUMES_INTERNAL_H

#include "runtime/internal.h"
#include "runtime/volumes.h"

struct volumes {
    struct store *store;
    struct runtime *runtime;
    struct jobs *jobs;
    struct events *events;
    char *directory; /* DATA/snapshots, made with the first */
    int64_t bytes_max;
};

/* volume_use.c: who uses which volume of one node, by its containers and by what services are to mount */
struct volume_use {
    char *volume, *who; /* a service's name, or "container NAME" */
    bool service, running;
};
struct volume_uses {
    struct volume_use *list;
    size_t n;
    char (*images)[128]; /* of the containers there are: what a snapshot can be made with */
    size_t image_count;
};
int volume_uses_read(struct runtime *r, const char *node_id, struct container_engine *g, struct volume_uses *ret,
                     struct error *e);
void volume_uses_done(struct volume_uses *u);
/* 0, or ERR_CONFLICT with who uses it. */
int volume_check_unused(const struct volume_uses *u, const char *volume, struct error *e);
/* The service it belongs to: by its label, else the one that uses it; NULL none. Borrowed of both. */
const char *volume_owner(const struct engine_volume *x, const struct volume_uses *u);

/* volume_memory.c: of a service that went. 1 remembered, 0 not; the caller frees both. */
int volume_remembered(struct volumes *v, const char *node_id, const char *volume, char **ret_service, char **ret_images,
                      struct error *e);
int volume_forget(struct volumes *v, const char *node_id, const char *volume, struct error *e);

/* snapshots.c */
struct snapshot {
    char id[ID_LEN + 1], volume[256], node_id[ID_LEN + 1], service[512], by[256];
    bool for_removal, in_use;
};
/* `images` are tried in turn, separated by spaces (and changed by that), then any that is there.
 * May be repeated: one of an earlier try is made anew, since the volume may have been written since. Ends early with ERR_UNAVAILABLE when the job is stopping, and
 * with ERR_CONFLICT when it was cancelled. */
int snapshot_make(struct volumes *v, const struct job *job, struct container_engine *g, const struct snapshot *s,
                  const struct volume_uses *u, char *images, struct error *e);
void snapshot_tell(struct volumes *v, const char *id); /* snapshot.created */
int list_snapshots(void *room, struct request *rq, struct reply *rp, struct error *e);
int delete_snapshot(void *room, struct request *rq, struct reply *rp, struct error *e);

/* volume_jobs.c */
int volume_jobs_register(struct volumes *v, struct error *e);
int volume_job_add(struct volumes *v, const char *kind, const char *node_id, const char *volume, bool snapshot,
                   const char *who, char ret_job[37], struct error *e);
#define KIND_REMOVE_VOLUME "remove-volume"
#define KIND_SNAPSHOT_VOLUME "snapshot-volume"

#endif
