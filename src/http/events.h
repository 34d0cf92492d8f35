/* Live events of every change, as server-sent events. One bus a hub; frames are serialized once and
 * shared by all subscribers. History for resuming by Last-Event-ID is a ring (count and bytes bounded);
 * a gap answers one `reset` event. A subscriber that does not keep up is closed and comes back by id.
 * Thread-safe. */
#ifndef HB_HTTP_EVENTS_H
#define HB_HTTP_EVENTS_H

#include "http/api.h"

struct events;
struct events *events_new(void);
void events_free(struct events *ev); /* after http_server_stop: streams tell the bus when they close */
/* Publishes {id,type,at,entityType,entityId,data}; `data` is serialized JSON (copied). */
void events_publish(struct events *ev, const char *type, const char *entity_type, const char *entity_id,
                    const char *data, size_t len);
/* The handler of operation streamEvents; room = struct events. */
int events_subscribe(void *room, struct request *rq, struct reply *rp, struct error *e);
/* Closes the streams of a key or session that was revoked (`struct actor`'s id). */
void events_end(struct events *ev, const char *actor_id);
unsigned events_subscribers(const struct events *ev);
/* Local listener for tests and rooms: called on the publisher's thread with the frame's fields. */
typedef void (*events_listener)(void *ctx, const char *type, const char *entity_id, const char *data, size_t len);
int events_listen(struct events *ev, events_listener fn, void *ctx);

#endif
