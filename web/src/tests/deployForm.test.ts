import { describe, expect, it } from 'vitest';
import { checkForm, EMPTY_FORM, errorsFromHub, toRequest, type DeployForm } from '@/lib/deployForm';

const form = (part: Partial<DeployForm>): DeployForm => ({ ...EMPTY_FORM, name: 'hello', nodeId: 'n1', ...part });

describe('the deploy form', () => {
  it('needs only a name beside what it is filled with', () => {
    expect(checkForm(form({}))).toEqual({});
    expect(toRequest(form({}))).toEqual({
      name: 'hello', type: 'web', environment: 'production', nodeId: 'n1', container: { image: 'nginx:alpine' }, networking: { internalPort: 80 },
    });
  });
  it.each(['', 'Hello', '1st', 'a--b', 'a-', '-a', 'a_b', 'a'.repeat(64)])('refuses the name %j', (name) => {
    expect(checkForm(form({ name })).name).toBeTruthy();
  });
  it.each(['a', 'a1', 'test-service-e2e', 'a'.repeat(63)])('takes the name %j', (name) => {
    expect(checkForm(form({ name })).name).toBeUndefined();
  });
  it('says that an image is needed', () => {
    expect(checkForm(form({ image: ' ' })).image).toContain('nginx:alpine');
    expect(checkForm(form({ image: 'two words' })).image).toBeTruthy();
  });
  it.each(['', '0', '65536', '80a', '-1', '8.5'])('refuses the port %j', (port) => {
    expect(checkForm(form({ port })).port).toBeTruthy();
  });
  it('turns every field into the request', () => {
    const request = toRequest(form({
      healthPath: '/up', domains: 'a.example.org, b.example.org', variables: 'A=1\nB=x=y\nC=', volumes: 'data:/data\n/srv/m:/m:ro',
      ports: '9000\n8080:81\n53:53/udp', command: 'serve\n--all files', cpu: '0.5', memory: '256',
    }));
    expect(request).toMatchObject({
      container: {
        environment: { A: '1', B: 'x=y', C: '' },
        volumes: [{ source: 'data', target: '/data', readonly: false }, { source: '/srv/m', target: '/m', readonly: true }],
        ports: [{ container: 9000 }, { container: 81, host: 8080 }, { container: 53, host: 53, protocol: 'udp' }],
        command: ['serve', '--all files'],
        resources: { cpu: 0.5, memory: 256 },
      },
      networking: { domains: ['a.example.org', 'b.example.org'], healthCheck: { path: '/up' } },
    });
  });
  it.each<[keyof DeployForm, string]>([
    ['variables', 'lonely'], ['variables', '1A=x'], ['volumes', 'data'], ['volumes', 'data:relative'], ['ports', '99999'], ['ports', 'x:80'],
    ['domains', 'not_a_domain'], ['healthPath', 'up'], ['cpu', '0'], ['memory', '1.5'],
  ])('finds what is wrong in %s %j', (key, value) => {
    expect(checkForm(form({ [key]: value }))[key]).toBeTruthy();
  });
  it('never repeats the value of a variable, which may be a secret', () => {
    expect(checkForm(form({ variables: 'BAD KEY=hunter2' })).variables).not.toContain('hunter2');
  });
  it('finds the field of a pointer', () => {
    expect(errorsFromHub({ '/networking/internalPort': 'too large', '/container/environment/A': 'bad', '/elsewhere': 'x' })).toEqual({ port: 'too large', variables: 'bad' });
  });
});
