/**
 * 256 words, one per byte, to read a fingerprint over the phone. No two of them share their first four letters, so that a word that was
 * heard in part is still clear. The list is part of what people wrote down: it never changes.
 */
const words = `
acid acorn actor agent album alley amber anchor ankle apple april apron arch arrow aspen atlas
badge baker bamboo banjo basket beacon beard berry bicycle bishop blanket bonfire bottle bridge bronze bucket
butter cabin cactus camel candle canyon carbon castle cedar cello chalk cherry chimney circus clover cobalt
coffee comet copper cotton cradle cricket crystal cube curtain dagger daisy dancer debut denim desert diamond
dinner doctor dolphin donkey dragon drum dune dwarf eagle earth echo eclipse elbow elephant ember engine
envelope eraser exit fabric falcon farmer feather fiddle finger flute forest fossil fountain fridge galaxy garden
garlic ghost giant ginger glacier goblet gorilla granite grocer guitar gypsum hammer harbor hazel helmet hermit
hockey honey hotel hunter husky iceberg igloo indigo insect iron island ivory jacket jaguar jelly jigsaw
jockey judge jungle jury kayak kernel kettle kidney kitten koala label ladder lagoon lantern laser lemon
leopard library lilac linen lizard lobster locker lumber lyric magnet mango marble meadow melon mercury midnight
mirror monkey morning motor muffin museum mustard napkin needle nickel noodle north novel nugget nurse oasis
ocean octopus olive onion opera orbit orchid ostrich otter oven oxygen oyster paddle palace panda parrot
pebble pencil pepper piano pigeon pilot planet plumber pocket poem pretzel prism puzzle pyramid quail quartz
queen quilt rabbit radar raven ribbon river rocket rubber saddle salmon sapphire saturn school shadow shovel
silver sketch sofa spider squash stadium sugar sunset sword table tango temple thunder ticket tiger tornado
tractor trumpet tulip tunnel turtle umbrella uncle valley vanilla velvet violin volcano walnut window yogurt zebra
`
  .trim()
  .split(/\s+/)

/** Returns one word per byte. */
export function wordsOf(bytes: Uint8Array): string[] {
  return [...bytes].map(byte => words[byte]!)
}
