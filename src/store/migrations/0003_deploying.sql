-- What deploying in earnest needs: jobs, secrets, routes, releases, CI deliveries. A section a room.
-- SQLite cannot change a CHECK: a table whose words grow is made anew and its rows are carried over.

-- jobs

-- configuration

-- gateway

-- runtime

-- deployment

-- CI
