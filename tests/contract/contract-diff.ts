// Compares two versions of the contract and names every change that breaks a caller who was written for the
// old one. A request may only ever be accepted more widely, a reply may only ever promise more narrowly.
// New values in a reply's enum are reported but are no break: clients must bear them (decision 0001).
//
//   node tests/contract/contract-diff.ts OLD.yaml NEW.yaml      0: no break, 1: breaks, 2: usage
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export interface Finding {
  breaks: boolean;
  where: string;
  what: string;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Dict = { [key: string]: Json };
type Direction = 'request' | 'reply';

const METHODS = ['get', 'put', 'post', 'patch', 'delete', 'head', 'options'];
const ROLES = ['public', 'viewer', 'operator', 'admin'];
// Each bound with what holds when it is absent. Of the lower ones a larger number is narrower, of the upper ones
// a smaller one.
const LOWER_BOUNDS = { minimum: -Infinity, exclusiveMinimum: -Infinity, minLength: 0, minItems: 0, minProperties: 0 };
const UPPER_BOUNDS = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];

const isDict = (v: Json | undefined): v is Dict => typeof v === 'object' && v !== null && !Array.isArray(v);
const dict = (v: Json | undefined): Dict => (isDict(v) ? v : {});
const list = (v: Json | undefined): Json[] => (Array.isArray(v) ? v : []);
const same = (a: Json | undefined, b: Json | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);

/** One contract: looks up references and folds `$ref` siblings and `allOf` into one schema. */
class Contract {
  readonly root: Dict;

  constructor(root: Dict) {
    this.root = root;
  }

  lookup(ref: string): Dict {
    let at: Json = this.root;
    for (const part of ref.replace(/^#\//, '').split('/')) {
      const next: Json | undefined = dict(at)[part.replaceAll('~1', '/').replaceAll('~0', '~')];
      if (next === undefined) throw new Error(`the reference ${ref} leads nowhere`);
      at = next;
    }
    return dict(at);
  }

  resolve(node: Json | undefined): Dict {
    const d = dict(node);
    if (typeof d.$ref !== 'string') return d;
    const { $ref, ...siblings } = d;
    return { ...this.resolve(this.lookup($ref)), ...siblings };
  }

  schema(node: Json | undefined): Dict {
    const d = this.resolve(node);
    if (!Array.isArray(d.allOf)) return d;
    const { allOf, ...own } = d;
    return [...allOf.map((part) => this.schema(part)), own].reduce((sum, part) => ({
      ...sum,
      ...part,
      properties: { ...dict(sum.properties), ...dict(part.properties) },
      required: [...new Set([...list(sum.required), ...list(part.required)])],
    }));
  }
}

/** The types a schema lets through; undefined is any. An enum or const without `type` says its types itself. */
function typesOf(schema: Dict): string[] | undefined {
  if (typeof schema.type === 'string') return [schema.type];
  if (Array.isArray(schema.type)) return schema.type.map(String);
  return valuesOf(schema)?.map((v) => (v === null ? 'null' : Array.isArray(v) ? 'array' : typeof v));
}

function valuesOf(schema: Dict): Json[] | undefined {
  if (schema.const !== undefined) return [schema.const];
  return Array.isArray(schema.enum) ? schema.enum : undefined;
}

const covers = (types: string[], type: string): boolean =>
  types.includes(type) || (type === 'integer' && types.includes('number'));

const variantsOf = (schema: Dict): Json[] => [...list(schema.oneOf), ...list(schema.anyOf)];

class Comparison {
  readonly findings: Finding[] = [];
  readonly before: Contract;
  readonly after: Contract;
  private readonly underWay = new Set<string>();

  constructor(before: Contract, after: Contract) {
    this.before = before;
    this.after = after;
  }

  private broken(where: string, what: string): void {
    this.findings.push({ breaks: true, where, what });
  }

  private note(where: string, what: string): void {
    this.findings.push({ breaks: false, where, what });
  }

  run(): Finding[] {
    const after = dict(this.after.root.paths);
    for (const [path, item] of Object.entries(dict(this.before.root.paths))) {
      for (const method of METHODS) {
        const old = dict(item)[method];
        if (!isDict(old)) continue;
        const name = `${method.toUpperCase()} ${path}`;
        const now = dict(after[path])[method];
        if (isDict(now)) this.operation(name, dict(item), old, dict(after[path]), now);
        else this.broken(name, 'the operation is gone');
      }
    }
    return this.findings;
  }

  private operation(name: string, oldPath: Dict, old: Dict, newPath: Dict, now: Dict): void {
    if (old.operationId !== now.operationId) this.broken(name, `operationId ${old.operationId} became ${now.operationId}`);
    if (ROLES.indexOf(String(now['x-role'])) > ROLES.indexOf(String(old['x-role'])))
      this.broken(name, `the role was raised from ${old['x-role']} to ${now['x-role']}`);
    const limit = now['x-body-limit'];
    if (typeof limit === 'number' && !(Number(old['x-body-limit'] ?? Infinity) <= limit))
      this.broken(name, `x-body-limit fell from ${old['x-body-limit'] ?? 'none'} to ${limit}`);
    this.parameters(name, this.parametersOf(this.before, oldPath, old), this.parametersOf(this.after, newPath, now));
    this.requestBody(name, this.before.resolve(old.requestBody), this.after.resolve(now.requestBody));
    this.responses(name, dict(old.responses), dict(now.responses));
  }

  private parametersOf(contract: Contract, path: Dict, operation: Dict): Map<string, Dict> {
    const all = [...list(path.parameters), ...list(operation.parameters)].map((p) => contract.resolve(p));
    return new Map(all.map((p) => [`${p.in} ${p.name}`, p]));
  }

  private parameters(name: string, old: Map<string, Dict>, now: Map<string, Dict>): void {
    for (const [key, was] of old) {
      const is = now.get(key);
      if (is === undefined) {
        this.broken(`${name} ${key}`, 'the parameter is gone');
        continue;
      }
      if (is.required === true && was.required !== true) this.broken(`${name} ${key}`, 'the parameter became required');
      this.schema('request', `${name} ${key}`, was.schema, is.schema);
    }
    for (const [key, is] of now)
      if (is.required === true && !old.has(key)) this.broken(`${name} ${key}`, 'a new parameter is required');
  }

  private requestBody(name: string, old: Dict, now: Dict): void {
    const where = `${name} body`;
    if (now.required === true && old.required !== true) this.broken(where, 'the body became required');
    for (const [type, media] of Object.entries(dict(old.content))) {
      const is = dict(now.content)[type];
      if (is === undefined) this.broken(where, `${type} is no longer taken`);
      else this.schema('request', where, dict(media).schema, dict(is).schema);
    }
  }

  private responses(name: string, old: Dict, now: Dict): void {
    for (const [status, response] of Object.entries(old)) {
      const where = `${name} ${status}`;
      if (now[status] === undefined) {
        // Other errors fall under `default`, which has the same shape.
        if (/^[23]/.test(status) || status === 'default') this.broken(where, 'the reply is gone');
        continue;
      }
      const was = this.before.resolve(response);
      const is = this.after.resolve(now[status]);
      for (const header of Object.keys(dict(was.headers)))
        if (dict(is.headers)[header] === undefined) this.broken(where, `the header ${header} is gone`);
      for (const [type, media] of Object.entries(dict(was.content))) {
        const other = dict(is.content)[type];
        if (other === undefined) this.broken(where, `${type} is no longer given`);
        else this.schema('reply', where, dict(media).schema, dict(other).schema);
      }
    }
  }

  /** Whether `old` becoming `now` breaks nothing; finds without keeping. */
  private fits(direction: Direction, old: Json, now: Json): boolean {
    const trial = new Comparison(this.before, this.after);
    trial.schema(direction, '', old, now);
    return !trial.findings.some((f) => f.breaks);
  }

  schema(direction: Direction, where: string, oldNode: Json | undefined, newNode: Json | undefined): void {
    const pair = JSON.stringify([direction, oldNode, newNode]);
    if (this.underWay.has(pair)) return; // a schema that contains itself
    this.underWay.add(pair);
    const old = this.before.schema(oldNode);
    const now = this.after.schema(newNode);
    this.types(direction, where, old, now);
    this.values(direction, where, old, now);
    this.variants(direction, where, old, now);
    if (direction === 'request') this.bounds(where, old, now);
    else if (old.format !== undefined && old.format !== now.format)
      this.broken(where, `the format ${old.format} is no longer promised`);
    this.properties(direction, where, old, now);
    this.items(direction, where, old, now);
    this.underWay.delete(pair);
  }

  private types(direction: Direction, where: string, old: Dict, now: Dict): void {
    const was = typesOf(old);
    const is = typesOf(now);
    if (direction === 'request' && is !== undefined && variantsOf(old).length === 0)
      for (const type of was ?? ['anything']) if (!covers(is, type)) this.broken(where, `${type} is no longer taken`);
    if (direction === 'reply' && was !== undefined && variantsOf(now).length === 0)
      for (const type of is ?? ['anything']) if (!covers(was, type)) this.broken(where, `may now be ${type}`);
  }

  private values(direction: Direction, where: string, old: Dict, now: Dict): void {
    const was = valuesOf(old);
    const is = valuesOf(now);
    const has = (values: Json[] | undefined, v: Json) => values === undefined || values.some((other) => same(other, v));
    if (direction === 'request') {
      if (was === undefined && is !== undefined) this.broken(where, 'only some values are still taken');
      for (const v of was ?? []) if (!has(is, v)) this.broken(where, `the value ${JSON.stringify(v)} is no longer taken`);
    } else {
      for (const v of is ?? []) if (!has(was, v)) this.note(where, `may now be ${JSON.stringify(v)}`);
      if (was !== undefined && is === undefined) this.note(where, 'may now have any value');
    }
  }

  private variants(direction: Direction, where: string, old: Dict, now: Dict): void {
    const was = variantsOf(old);
    const is = variantsOf(now);
    if (was.length === 0 && is.length === 0) return;
    const whole = (variants: Json[], schema: Dict) => (variants.length > 0 ? variants : [schema]);
    if (direction === 'request') {
      for (const [i, v] of whole(was, old).entries())
        if (!whole(is, now).some((other) => this.fits('request', v, other)))
          this.broken(where, `variant ${i + 1} is no longer taken`);
    } else {
      for (const [i, v] of whole(is, now).entries())
        if (!whole(was, old).some((other) => this.fits('reply', other, v)))
          this.broken(where, `variant ${i + 1} was not given before`);
    }
  }

  private bounds(where: string, old: Dict, now: Dict): void {
    for (const [key, none] of Object.entries(LOWER_BOUNDS))
      if (typeof now[key] === 'number' && !(Number(old[key] ?? none) >= now[key]))
        this.broken(where, `${key} rose from ${old[key] ?? 'none'} to ${now[key]}`);
    for (const key of UPPER_BOUNDS)
      if (typeof now[key] === 'number' && !(Number(old[key] ?? Infinity) <= now[key]))
        this.broken(where, `${key} fell from ${old[key] ?? 'none'} to ${now[key]}`);
    for (const key of ['pattern', 'format', 'propertyNames', 'multipleOf', 'not', 'contains'])
      if (now[key] !== undefined && !same(old[key], now[key])) this.broken(where, `${key} is new or another`);
    if (now.uniqueItems === true && old.uniqueItems !== true) this.broken(where, 'items must now be unique');
  }

  private properties(direction: Direction, where: string, old: Dict, now: Dict): void {
    const was = dict(old.properties);
    const is = dict(now.properties);
    for (const [key, schema] of Object.entries(was)) {
      if (is[key] !== undefined) this.schema(direction, `${where} /${key}`, schema, is[key]);
      else if (direction === 'reply' || now.additionalProperties === false) this.broken(`${where} /${key}`, 'the field is gone');
    }
    const [stricter, looser] = direction === 'request' ? [now, old] : [old, now];
    for (const key of list(stricter.required))
      if (!list(looser.required).includes(key))
        // A field that is gone has been named already.
        if (direction === 'request' || is[String(key)] !== undefined)
          this.broken(`${where} /${key}`, direction === 'request' ? 'the field is now required' : 'the field may now be absent');
    this.otherProperties(direction, where, old.additionalProperties, now.additionalProperties);
  }

  private otherProperties(direction: Direction, where: string, old: Json | undefined, now: Json | undefined): void {
    if (direction === 'request' && now === false && old !== false) this.broken(where, 'other fields are no longer taken');
    if (isDict(old) && isDict(now)) this.schema(direction, `${where} /*`, old, now);
    else if (direction === 'request' && isDict(now) && old !== false) this.schema(direction, `${where} /*`, {}, now);
    else if (direction === 'reply' && isDict(old) && now !== false) this.schema(direction, `${where} /*`, old, {});
  }

  private items(direction: Direction, where: string, old: Dict, now: Dict): void {
    const was = list(old.prefixItems);
    const is = list(now.prefixItems);
    for (let i = 0; i < Math.max(was.length, is.length); i++)
      this.schema(direction, `${where} /${i}`, was[i] ?? {}, is[i] ?? {});
    if (isDict(old.items) || isDict(now.items))
      this.schema(direction, `${where} /-`, isDict(old.items) ? old.items : {}, isDict(now.items) ? now.items : {});
  }
}

export function compare(before: unknown, after: unknown): Finding[] {
  return new Comparison(new Contract(before as Dict), new Contract(after as Dict)).run();
}

function main(args: string[]): number {
  const [before, after] = args;
  if (before === undefined || after === undefined || args.length !== 2) {
    console.error('usage: node tests/contract/contract-diff.ts OLD.yaml NEW.yaml');
    return 2;
  }
  const findings = compare(parse(readFileSync(before, 'utf8')), parse(readFileSync(after, 'utf8')));
  for (const f of findings) console.log(`${f.breaks ? 'BREAK' : 'note '}  ${f.where}: ${f.what}`);
  const breaks = findings.filter((f) => f.breaks).length;
  console.log(`${breaks} breaks, ${findings.length - breaks} notes`);
  return breaks > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.slice(2));
