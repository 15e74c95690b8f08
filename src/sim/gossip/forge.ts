import type { News } from "../../discovery/index.ts";
import type { SeededRandom } from "../../env/index.ts";

/** What its peer never signed: another byte somewhere, under a signature that was good. */
export function forge(news: News, random: SeededRandom): News {
  if (news.type === "departure") {
    const { departure } = news;
    return { ...news, departure: { ...departure, startMs: departure.startMs + 1 + random.below(10_000) } };
  }
  const { signed } = news;
  const bytes = signed.bytes.slice();
  // Not the form, of which unknown ones are skipped; nor the network or the peer, which would be somebody else's.
  const at = 65 + random.below(bytes.length - 65);
  bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
  return { ...news, signed: { ...signed, bytes } };
}
