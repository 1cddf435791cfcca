import { describe, expect, it } from 'vitest';
import { finishRuns, joinRuns, openRequest, type Run, withRun } from '../../src/rotation/runs.ts';

const AT = new Date('2026-11-22T10:00:00.000Z');
const aRun = (id: string, more: Partial<Run> = {}): Run => ({
  id,
  reason: 'requested',
  requestedAt: AT,
  rotationId: undefined,
  doneAt: undefined,
  ...more,
});
const over = (id: string) => aRun(id, { rotationId: 'r0', doneAt: AT });

describe('the runs of a rotation', () => {
  it('are open until an attempt answers them; compromised goes first', () => {
    expect(openRequest([])).toBeUndefined();
    expect(openRequest([over('a'), aRun('b', { rotationId: 'r1' })])).toBeUndefined();
    expect(openRequest([aRun('a')])).toBe('requested');
    expect(openRequest([aRun('a'), aRun('b', { reason: 'compromised' })])).toBe('compromised');
    expect(openRequest([aRun('a'), aRun('b', { reason: 'compromised', rotationId: 'r1' })])).toBe('requested');
  });

  it('are joined by the next attempt, unless they are over', () => {
    const runs = joinRuns([over('a'), aRun('b'), aRun('c', { rotationId: 'r1' })], 'r2');
    expect(runs.map(({ rotationId }) => rotationId)).toEqual(['r0', 'r2', 'r2']);
  });

  it('end with their own attempt, once', () => {
    const later = new Date(AT.getTime() + 1000);
    const runs = [over('a'), aRun('b', { rotationId: 'r1' }), aRun('c', { rotationId: 'r2' }), aRun('d')];
    expect(finishRuns(runs, 'r1', later).map(({ doneAt }) => doneAt)).toEqual([AT, later, undefined, undefined]);
    expect(finishRuns(runs, 'r0', later).map(({ doneAt }) => doneAt)).toEqual([AT, undefined, undefined, undefined]);
    expect(finishRuns(runs, undefined, later)).toEqual(runs);
  });

  it('are kept to the last 50; those that are not over never make room', () => {
    const many = Array.from({ length: 50 }, (_, number) => over(`over-${number}`));
    expect(withRun(many.slice(1), aRun('new'))).toHaveLength(50);
    const kept = withRun(many, aRun('new'));
    expect(kept).toHaveLength(50);
    expect(kept[0]?.id).toBe('over-1');
    expect(kept.at(-1)?.id).toBe('new');
    const open = Array.from({ length: 60 }, (_, number) => aRun(`open-${number}`));
    expect(withRun([over('a'), ...open], aRun('new')).map(({ id }) => id)).toEqual([
      ...open.map(({ id }) => id),
      'new',
    ]);
  });
});
