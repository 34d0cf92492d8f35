import { beforeEach, describe, expect, it } from 'vitest';
import { parseEvent, type HubEvent } from '@/api/events';
import { applyEvent, beginLoad, emptyEntities, extend, forgetEntities, receive, replace, useEntities } from '@/state/entities';
import { mockDeployment, mockInfrastructureNode, mockService } from './mocks';

const event = (type: string, entityId: string, data: unknown) => ({ id: '1', type, at: '2026-11-25T12:00:00Z', entityType: type.split('.')[0], entityId, data }) as HubEvent;
const a = mockInfrastructureNode({ id: 'a', name: 'a' });
const b = mockInfrastructureNode({ id: 'b', name: 'b' });

describe('the event reducer', () => {
  it('adds, changes and removes', () => {
    let s = applyEvent(emptyEntities(), event('node.created', 'a', a));
    expect(s.node.order).toEqual(['a']);
    s = applyEvent(s, event('node.updated', 'a', { ...a, status: 'maintenance' }));
    expect(s.node.byId['a']?.status).toBe('maintenance');
    expect(s.node.order).toEqual(['a']);
    s = applyEvent(s, event('node.deleted', 'a', null));
    expect(s.node).toMatchObject({ byId: {}, order: [] });
  });
  it('keeps kinds apart', () => {
    const s = applyEvent(applyEvent(emptyEntities(), event('service.created', 's', mockService({ id: 's' }))), event('deployment.created', 'd', mockDeployment({ id: 'd' })));
    expect(Object.keys(s.service.byId)).toEqual(['s']);
    expect(Object.keys(s.deployment.byId)).toEqual(['d']);
    expect(s.node.order).toEqual([]);
  });
  it('counts the total along, and changes nothing for what it does not know', () => {
    const loaded = { ...emptyEntities(), node: replace({ items: [a], next: null, total: 7 }) };
    expect(applyEvent(loaded, event('node.created', 'b', b)).node.total).toBe(8);
    expect(applyEvent(loaded, event('node.deleted', 'zzz', null))).toEqual(loaded);
    expect(applyEvent(loaded, event('system.updated', '', {}))).toBe(loaded);
  });
  it('joins pages without doubling', () => {
    const c = extend(replace({ items: [a], next: 'x', total: 2 }), { items: [a, b], next: null, total: 2 });
    expect(c.order).toEqual(['a', 'b']);
    expect(c.next).toBeNull();
  });
});

describe('a list that is on its way while events come', () => {
  beforeEach(forgetEntities);
  it('does not undo what the events told', () => {
    const load = beginLoad('node');
    receive(event('node.updated', 'a', { ...a, status: 'degraded' }));
    receive(event('node.deleted', 'b', null));
    load.replace({ items: [a, b], next: null, total: 2 });
    const { node } = useEntities.getState();
    expect(node.order).toEqual(['a']);
    expect(node.byId['a']?.status).toBe('degraded');
  });
  it('changes nothing once it was given up', () => {
    const load = beginLoad('node');
    load.cancel();
    load.replace({ items: [a], next: null, total: 1 });
    expect(useEntities.getState().node.loaded).toBe(false);
  });
});

describe('parseEvent', () => {
  it('takes what it knows and leaves the rest', () => {
    expect(parseEvent(JSON.stringify(event('node.created', 'a', a)))?.type).toBe('node.created');
    expect(parseEvent('{"type":"moon.landed"}')).toBeNull();
    expect(parseEvent('not json')).toBeNull();
    expect(parseEvent('null')).toBeNull();
  });
});
