import { describe, expect, it } from 'vitest';
import { readEndpoint, readWorkspace, refuseLargeBody, refuseQuery } from '../../src/http/request.ts';
import { requestWith } from './requests.ts';

describe('refuseLargeBody', () => {
  const check = (length: string) => () => refuseLargeBody(requestWith({ headers: { 'content-length': length } }));

  it('P7: refuses by the declared length, before the body is read', () => {
    expect(check('65537')).toThrowError(expect.objectContaining({ code: 'too_large', reason: 'declared_length' }));
    expect(check('99999999999999999999')).toThrowError(expect.objectContaining({ code: 'too_large' }));
  });

  it.each(['0', '2', '65536'])('lets %s bytes pass', (length) => {
    expect(check(length)).not.toThrow();
  });

  it('leaves a request without a length to the reading of the body', () => {
    expect(() => refuseLargeBody(requestWith())).not.toThrow();
    expect(check('many')).not.toThrow();
  });
});

describe('refuseQuery', () => {
  it.each(['access_token', 'token', 'code', 'minRemaining', ''])(
    'P2: refuses the parameter %j and says where tokens go',
    (name) => {
      expect(() => refuseQuery(requestWith({ query: { [name]: 'made-up-secret' } }))).toThrowError(
        expect.objectContaining({
          code: 'invalid_request',
          status: 400,
          reason: 'query_parameters',
          detail: expect.stringMatching(/^(?!.*made-up-secret).*Authorization header/),
        }),
      );
    },
  );

  it('lets a request without parameters pass', () => {
    expect(() => refuseQuery(requestWith())).not.toThrow();
  });
});

describe('the names in the path', () => {
  const workspace = (name: string) => () => readWorkspace(requestWith({ params: { workspace: name } }));
  const endpoint = (name: string) => () => readEndpoint(requestWith({ params: { endpoint: name } }));

  it('are read: the workspace as written, the endpoint in lower case', () => {
    expect(workspace('Prod-1')()).toBe('Prod-1');
    expect(endpoint('Fraud_AML-2')()).toBe('fraud_aml-2');
    expect(workspace('a'.repeat(63))()).toHaveLength(63);
    expect(endpoint('a'.repeat(255))()).toHaveLength(255);
  });

  it.each([
    '',
    '.',
    '..',
    '../dev',
    'prod/../dev',
    'prod/dev',
    'prod\\dev',
    '%2e%2e',
    'prod%2Fdev',
    'prod ',
    ' prod',
    'prod\n',
    'prod\u0000',
    'prod;a=b',
    'prod?x',
    'prod#x',
    '-prod',
    'pröd',
    'ｐｒｏｄ',
    '*',
    '{workspace}',
    '__proto__',
  ])('P7: are refused: %j', (name) => {
    for (const [what, attempt] of [
      ['workspace', workspace(name)],
      ['endpoint', endpoint(name)],
    ] as const) {
      expect(attempt).toThrowError(
        expect.objectContaining({ code: 'invalid_request', status: 400, reason: `path_${what}` }),
      );
    }
  });

  it('P7: are refused when they are too long or missing', () => {
    expect(workspace('a'.repeat(64))).toThrowError(expect.objectContaining({ reason: 'path_workspace' }));
    expect(endpoint('a'.repeat(256))).toThrowError(expect.objectContaining({ reason: 'path_endpoint' }));
    expect(() => readWorkspace(requestWith())).toThrowError(expect.objectContaining({ reason: 'path_workspace' }));
  });

  it('P7: are not repeated in the answer', () => {
    expect(workspace('<script>')).toThrowError(
      expect.objectContaining({ detail: expect.stringMatching(/^(?!.*script).*not a name/) }),
    );
  });
});
