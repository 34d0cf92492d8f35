// The node list as a usual Node service would serve it: Fastify, its serializer compiled from the contract's schema,
// a pool of connections to PostgreSQL, and one query a request for all columns of the seed's table.
//   node fastify.js PORT SOCKET_FOLDER USER DATABASE SETUP.json     SETUP: { schema, nodes }
import { readFileSync } from 'node:fs';
import fastify from 'fastify';
import pg from 'pg';

const [port, host, user, database, setup] = process.argv.slice(2);
const { schema, nodes } = JSON.parse(readFileSync(setup, 'utf8'));
const pool = new pg.Pool({ host, user, database, max: 10 });
const columns = ['id', 'name', 'type', 'provider', 'region', 'labels', 'resources', 'networking', 'status', 'monitoring', 'metadata'];

await pool.query(`CREATE TABLE infrastructure_nodes (
  id VARCHAR(255) PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE, type VARCHAR(20) NOT NULL, provider VARCHAR(20) NOT NULL,
  region VARCHAR(50), resources JSONB NOT NULL, networking JSONB NOT NULL, status VARCHAR(20) NOT NULL, monitoring JSONB NOT NULL,
  metadata JSONB NOT NULL, labels JSONB NOT NULL, created_at TIMESTAMP DEFAULT now(), updated_at TIMESTAMP DEFAULT now())`);
for (const node of nodes) {
  const marks = columns.map((_, i) => `$${i + 1}`).join(', ');
  await pool.query(`INSERT INTO infrastructure_nodes (${columns.join(', ')}) VALUES (${marks})`, columns.map((name) => node[name]));
}
await pool.query('ANALYZE infrastructure_nodes');

const list = {
  name: 'list-nodes', // prepared once a connection
  text: `SELECT ${columns.join(', ')}, created_at, updated_at FROM infrastructure_nodes ORDER BY name LIMIT 100`,
};
const app = fastify();
app.get('/v1/infrastructure/nodes', { schema: { response: { 200: schema } } }, async () => {
  const { rows } = await pool.query(list);
  const all = rows.map((row) => ({
    id: row.id,
    name: row.name,
    type: row.type,
    provider: row.provider,
    region: row.region,
    labels: row.labels,
    resources: row.resources,
    networking: row.networking,
    status: row.status,
    monitoring: row.monitoring,
    metadata: row.metadata,
  }));
  const active = all.filter((node) => node.status === 'active');
  return {
    nodes: all,
    metadata: { total: all.length, active: active.length, monitoring_integrated: active.filter((node) => node.monitoring.lastHealthCheck).length },
  };
});
await app.listen({ host: '127.0.0.1', port: Number(port) });
