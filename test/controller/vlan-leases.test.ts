/** A local VLAN that was somebody's is not given to another while a bridge may still know it (src/controller/vlan-leases.ts). */
import { describe, expect, test } from 'vitest';
import { allocateLocalVlans, LocalVlanError } from '../../src/compiler/names.ts';
import { VlanLeases } from '../../src/controller/vlan-leases.ts';

const ALL = 4094;

/** As assignLocalVlans does, with so many VLANs left in the world. */
function lease(
  leases: VlanLeases,
  ids: readonly string[],
  options: { generation: number; confirmed?: number; vlans?: number },
) {
  const { generation, confirmed = 0, vlans = ALL } = options;
  const beyond = Array.from({ length: ALL - vlans }, (_none, index) => ALL - index);
  leases.renew(
    (former) => {
      const inUse = [...former].filter(([network]) => !ids.includes(network)).map(([, vlan]) => vlan);
      return allocateLocalVlans(ids, new Map([...former, ...leases.current]), new Set([...inUse, ...beyond]));
    },
    { generation, confirmedGeneration: () => confirmed },
  );
  return Object.fromEntries(leases.current);
}

describe('the VLAN of a network that has left', () => {
  test('goes to nobody else, confirmed or not, while there are others', () => {
    const leases = new VlanLeases();
    lease(leases, ['blue', 'green'], { generation: 1 });
    expect(lease(leases, ['green', 'fresh'], { generation: 2 })).toEqual({ green: 2, fresh: 3 });
    expect(lease(leases, ['green', 'fresher'], { generation: 3, confirmed: 2 })).toEqual({ green: 2, fresher: 4 });
  });

  test('is its own when it comes back', () => {
    const leases = new VlanLeases();
    lease(leases, ['blue', 'green'], { generation: 1 });
    lease(leases, ['green', 'fresh'], { generation: 2 });
    expect(lease(leases, ['blue', 'fresh', 'green'], { generation: 3 })).toEqual({ blue: 1, fresh: 3, green: 2 });
  });

  test('is known to the next life of the controller', () => {
    const leases = new VlanLeases();
    lease(leases, ['blue', 'green'], { generation: 1 });
    expect(
      leases.renew((former) => allocateLocalVlans(['blue', 'green'], former), {
        generation: 2,
        confirmedGeneration: () => 0,
      }),
    ).toBe(false);
    lease(leases, ['green', 'fresh'], { generation: 2 });
    expect(Object.fromEntries(leases.all)).toEqual({ blue: 1, green: 2, fresh: 3 });
    const next = new VlanLeases(leases.all);
    expect(lease(next, ['fresher', 'fresh'], { generation: 1 })).toEqual({ fresh: 3, fresher: 4 });
    expect(lease(next, ['blue', 'fresh'], { generation: 2 })).toEqual({ fresh: 3, blue: 1 });
  });

  test('goes to others when there is no more, once every bridge has confirmed that nothing names it', () => {
    const leases = new VlanLeases();
    lease(leases, ['blue', 'green'], { generation: 1, vlans: 3 });
    lease(leases, ['green', 'fresh'], { generation: 2, vlans: 3 });
    const late = { generation: 3, vlans: 3 };
    expect(() => lease(leases, ['green', 'fresh', 'last'], { ...late, confirmed: 1 })).toThrow(LocalVlanError);
    expect(lease(leases, ['green', 'fresh', 'last'], { ...late, confirmed: 2 })).toEqual({
      green: 2,
      fresh: 3,
      last: 1,
    });
    // The first one gets another, if it comes back: not that of one who leaves at the same time.
    const later = { generation: 4, confirmed: 3, vlans: 3 };
    expect(() => lease(leases, ['green', 'blue', 'last'], later)).toThrow(LocalVlanError);
    lease(leases, ['green', 'last'], later);
    expect(lease(leases, ['green', 'blue', 'last'], { ...later, generation: 5, confirmed: 4 })).toEqual({
      green: 2,
      last: 1,
      blue: 3,
    });
  });
});
