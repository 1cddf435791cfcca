import { describe, expect, it } from 'vitest';
import { compileRoutes } from '../../sandbox/host/routes.ts';

function compile(templates: string[], prefix = '') {
  const options = templates.map((template) => ({
    functionName: `fn ${template}`,
    template,
    methods: ['GET'],
    target: template,
  }));
  const match = compileRoutes(prefix, options);
  return (path: string, method = 'GET') => match(method, path === '' ? [] : path.split('/'));
}

const GUID = '0f8fad5b-d9cb-469f-a165-70867728950e';

describe('compileRoutes', () => {
  it('prefers literal over constrained parameter over parameter over catch-all, whatever the order of registration', () => {
    const match = compile(['items/{*rest}', 'items/{id}', 'items/{id:int}', 'items/new']);
    expect(match('items/new')?.target).toBe('items/new');
    expect(match('items/7')?.target).toBe('items/{id:int}');
    expect(match('items/x')?.target).toBe('items/{id}');
    expect(match('items/x/y')?.target).toBe('items/{*rest}');
  });

  it('prefers the template that is more exact in an earlier segment', () => {
    const match = compile(['{tenant}/token', 'oauth2/{anything}']);
    expect(match('oauth2/token')?.target).toBe('oauth2/{anything}');
  });

  it('ignores letter case in literals and keeps it in values', () => {
    expect(compile(['Items/{id}'])('iTEMS/AbC')?.params).toEqual({ id: 'AbC' });
  });

  it('leaves an optional parameter out of the parameters when the path ends before it', () => {
    const match = compile(['items/{id:int?}']);
    expect(match('items')?.params).toEqual({});
    expect(match('items/5')?.params).toEqual({ id: '5' });
  });

  it('gives a catch-all the rest of the path, which may be empty', () => {
    const match = compile(['files/{*path}']);
    expect(match('files/a/b')?.params).toEqual({ path: 'a/b' });
    expect(match('files')?.params).toEqual({});
  });

  it.each([
    ['{v:int}', '-12', true],
    ['{v:int}', '2147483648', false],
    ['{v:int}', '1.5', false],
    ['{v:guid}', GUID, true],
    ['{v:guid}', GUID.replaceAll('-', ''), true],
    ['{v:guid}', 'no-guid', false],
    ['{v:bool}', 'TRUE', true],
    ['{v:bool}', '1', false],
    ['{v:alpha}', 'abc', true],
    ['{v:alpha}', 'ab1', false],
    ['{v:length(3,5)}', 'abcd', true],
    ['{v:length(3,5)}', 'ab', false],
    ['{v:length(3)}', 'abcd', false],
    ['{v:alpha:length(3)}', 'abc', true],
    ['{v:alpha:length(3)}', '123', false],
  ])('matches %s with %s: %s', (template, path, matches) => {
    expect(compile([template])(path) !== undefined).toBe(matches);
  });

  it('does not match another method, an empty value, or a longer path', () => {
    const match = compile(['items/{id}']);
    expect(match('items/1', 'POST')).toBeUndefined();
    expect(match('items/')).toBeUndefined();
    expect(match('items/1/2')).toBeUndefined();
  });

  it('puts the prefix in front of every route', () => {
    const match = compile(['items'], 'api/v1');
    expect(match('api/v1/items')?.target).toBe('items');
    expect(match('items')).toBeUndefined();
  });

  it.each(['admin/x', 'Runtime', 'administrators'])('refuses the route %s, which belongs to the host', (template) => {
    expect(() => compile([template], 'api')).toThrow('conflicts with one or more built in routes');
  });

  it('refuses two functions with one route and a shared method, whatever the parameters are called', () => {
    expect(() => compile(['items/{id}', 'ITEMS/{name}'])).toThrow('both have the route GET "ITEMS/{name}"');
    expect(() => compile(['items/{id:int}', 'items/{name}'])).not.toThrow();
  });

  it.each([
    ['{a}-{b}', 'cannot read'],
    ['{id:regex(^x$)}', 'cannot read'],
    ['{id:float}', 'uses the constraint "float"'],
    ['{id?}/more', 'not the last segment'],
    ['{*rest}/more', 'not the last segment'],
  ])('refuses the template %s that it cannot read: %s', (template, message) => {
    expect(() => compile([template])).toThrow(message);
  });
});
