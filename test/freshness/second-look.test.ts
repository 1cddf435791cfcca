import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { checkEndpointToken } from '../../src/freshness/second-look.ts';
import { aJwt } from '../support/builders.ts';

describe('P3: the second look at an endpoint token', () => {
  it('refuses a readable token that names another endpoint', () => {
    const check = () => checkEndpointToken(aJwt({ endpointName: 'fraud-other' }), 'fraud-aml');
    expect(check).toThrow(BrokerError);
    expect(check).toThrow(
      expect.objectContaining({ code: 'unexpected_upstream_answer', reason: 'token_is_for_another_endpoint' }),
    );
  });

  it.each([
    ['a longer name that starts alike', 'fraud-aml-2'],
    ['a name that is a part of it', 'fraud'],
    ['an empty name', ''],
  ])('refuses %s', (_what, endpointName) => {
    expect(() => checkEndpointToken(aJwt({ endpointName }), 'fraud-aml')).toThrow(
      expect.objectContaining({ code: 'unexpected_upstream_answer' }),
    );
  });

  it('accepts the endpoint that was asked for, in any case', () => {
    expect(() => checkEndpointToken(aJwt({ endpointName: 'Fraud-AML' }), 'fraud-aml')).not.toThrow();
  });

  it.each([
    ['an opaque token', 'not-a-jwt-at-all'],
    ['a token of five parts, as encrypted ones have', 'a.b.c.d.e'],
    ['three parts that are not JSON', 'abc.def.ghi'],
    ['a payload that is no object', `e30.${Buffer.from('"text"').toString('base64url')}.c2ln`],
    ['a readable token that names no endpoint', aJwt({ aud: 'something' })],
    ['a readable token whose endpointName is no text', aJwt({ endpointName: 7 })],
  ])('accepts %s: it is judged by the answer alone', (_what, token) => {
    expect(() => checkEndpointToken(token, 'fraud-aml')).not.toThrow();
  });
});
