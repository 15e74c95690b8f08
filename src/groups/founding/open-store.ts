import type { UniqueId } from "../../identity/index.ts";
import type { IncarnationId, Storage, StorageFactory } from "../../storage/index.ts";

/** @param discard - a store of this incarnation is set aside, and another one drawn */
export async function openStore(
  factory: StorageFactory,
  group: UniqueId,
  discard: IncarnationId | undefined,
): Promise<Storage> {
  const store = await factory.open(group);
  if (discard === undefined || store.incarnation !== discard) return store;
  await store.setAside("discarded by the operator");
  return factory.open(group);
}
