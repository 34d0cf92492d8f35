/* The deploy form as text, its rules, and the request it becomes. Pure; the hub checks everything again. */
import type { ServiceRequest } from '@/api/types';

export interface DeployForm {
  name: string;
  nodeId: string;
  image: string;
  port: string;
  type: string;
  environment: string; // development, staging, production
  domains: string;
  healthPath: string;
  variables: string; // KEY=value, a line each
  volumes: string; // source:target[:ro], a line each
  ports: string; // container or host:container[/udp], a line each
  command: string; // an argument a line
  cpu: string;
  memory: string;
}

export const EMPTY_FORM: DeployForm = {
  name: '', nodeId: '', image: 'nginx:alpine', port: '80', type: 'web', environment: 'production', domains: '', healthPath: '',
  variables: '', volumes: '', ports: '', command: '', cpu: '', memory: '',
};

export type FormErrors = Partial<Record<keyof DeployForm, string>>;

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const IMAGE = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$/;
const DOMAIN = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const VOLUME = /^(\/[^:]*|[A-Za-z0-9][A-Za-z0-9_.-]*):(\/[^:]+)(?::(ro|rw))?$/;
const PORT = /^(?:(\d{1,5}):)?(\d{1,5})(?:\/(tcp|udp))?$/;

const lines = (text: string) => text.split('\n').map((l) => l.trim()).filter(Boolean);
const listed = (text: string) => text.split(/[\s,]+/).filter(Boolean);
const isPort = (text: string) => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;

export function checkForm(form: DeployForm): FormErrors {
  const errors: FormErrors = {};
  if (!form.name) errors.name = 'A service needs a name.';
  else if (form.name.length > 63 || !NAME.test(form.name)) errors.name = 'Small letters, digits and single dashes, beginning with a letter; at most 63.';
  if (!form.image.trim()) errors.image = 'Say which image to run, such as nginx:alpine.';
  else if (!IMAGE.test(form.image.trim())) errors.image = 'This is not the name of an image.';
  if (!isPort(form.port)) errors.port = 'A port is a number from 1 to 65535.';
  if (form.healthPath && !/^\/[\x21-\x7e]*$/.test(form.healthPath)) errors.healthPath = 'A path begins with / and has no spaces.';
  const badDomain = listed(form.domains).find((d) => !DOMAIN.test(d));
  if (badDomain) errors.domains = `${badDomain} is not a domain.`;
  const badVariable = lines(form.variables).find((l) => !l.includes('=') || !VARIABLE.test(l.slice(0, l.indexOf('='))));
  if (badVariable) errors.variables = `Write each variable as KEY=value; “${badVariable.split('=')[0]}” is not one.`;
  const badVolume = lines(form.volumes).find((l) => !VOLUME.test(l));
  if (badVolume) errors.volumes = `“${badVolume}”: write name:/path, /host/path:/path, or either with :ro.`;
  const badPort = lines(form.ports).find((l) => parsePort(l) === null);
  if (badPort) errors.ports = `“${badPort}”: write 9000, 8080:80 or 53:53/udp.`;
  if (form.cpu && !(Number(form.cpu) >= 0.01 && Number(form.cpu) <= 1024)) errors.cpu = 'Cores, from 0.01.';
  if (form.memory && !(/^\d+$/.test(form.memory) && Number(form.memory) >= 6)) errors.memory = 'Whole MiB, at least 6.';
  return errors;
}

function parsePort(text: string) {
  const m = PORT.exec(text);
  if (!m?.[2] || !isPort(m[2]) || (m[1] !== undefined && !isPort(m[1]))) return null;
  return { container: Number(m[2]), ...(m[1] ? { host: Number(m[1]) } : {}), ...(m[3] ? { protocol: m[3] as 'tcp' | 'udp' } : {}) };
}

function container(form: DeployForm): ServiceRequest['container'] {
  const variables = lines(form.variables).map((l) => [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)] as const);
  const volumes = lines(form.volumes).flatMap((l) => {
    const m = VOLUME.exec(l);
    return m?.[1] && m[2] ? [{ source: m[1], target: m[2], readonly: m[3] === 'ro' }] : [];
  });
  const ports = lines(form.ports).flatMap((l) => parsePort(l) ?? []);
  const command = lines(form.command);
  const resources = { ...(form.cpu && { cpu: Number(form.cpu) }), ...(form.memory && { memory: Number(form.memory) }) };
  return {
    image: form.image.trim(),
    ...(variables.length > 0 && { environment: Object.fromEntries(variables) }),
    ...(volumes.length > 0 && { volumes }),
    ...(ports.length > 0 && { ports }),
    ...(command.length > 0 && { command }),
    ...(Object.keys(resources).length > 0 && { resources }),
  };
}

export function toRequest(form: DeployForm): ServiceRequest {
  const domains = listed(form.domains);
  return {
    name: form.name,
    type: form.type as ServiceRequest['type'],
    environment: form.environment as ServiceRequest['environment'],
    ...(form.nodeId && { nodeId: form.nodeId }),
    container: container(form),
    networking: {
      internalPort: Number(form.port),
      ...(domains.length > 0 && { domains }),
      ...(form.healthPath && { healthCheck: { path: form.healthPath } }),
    },
  };
}

/* Which field of the form a pointer of the hub's answer is about. */
const POINTERS: [prefix: string, field: keyof DeployForm][] = [
  ['/name', 'name'], ['/nodeId', 'nodeId'], ['/type', 'type'], ['/environment', 'environment'],
  ['/container/image', 'image'], ['/container/tag', 'image'], ['/container/environment', 'variables'], ['/container/volumes', 'volumes'],
  ['/container/ports', 'ports'], ['/container/command', 'command'], ['/container/resources/cpu', 'cpu'], ['/container/resources/memory', 'memory'],
  ['/networking/internalPort', 'port'], ['/networking/domains', 'domains'], ['/networking/healthCheck', 'healthPath'],
];

export function errorsFromHub(details: Record<string, string>): FormErrors {
  const errors: FormErrors = {};
  for (const [pointer, reason] of Object.entries(details)) {
    const hit = POINTERS.find(([prefix]) => pointer === prefix || pointer.startsWith(`${prefix}/`));
    if (hit) errors[hit[1]] ??= reason;
  }
  return errors;
}
