import { columns } from './columns.ts'
import type { ComposeRule, Defaults, OperatorRules } from './rule.ts'

const components = [
  'source-controller',
  'kustomize-controller',
  'helm-controller',
  'notification-controller',
  'image-reflector-controller',
  'image-automation-controller',
  'source-watcher',
] as const

/** The tags of the components in each version of Flux, in the order of `components`. */
const versions: Readonly<Record<string, string>> = {
  '2.6.0': 'v1.6.0 v1.6.0 v1.3.0 v1.6.0 v0.35.0 v0.41.0 -',
  '2.6.1': 'v1.6.0 v1.6.0 v1.3.0 v1.6.0 v0.35.1 v0.41.0 -',
  '2.6.2': 'v1.6.1 v1.6.0 v1.3.0 v1.6.0 v0.35.2 v0.41.1 -',
  '2.6.3': 'v1.6.2 v1.6.0 v1.3.0 v1.6.0 v0.35.2 v0.41.2 -',
  '2.6.4': 'v1.6.2 v1.6.1 v1.3.0 v1.6.0 v0.35.2 v0.41.2 -',
  '2.7.0': 'v1.7.0 v1.7.0 v1.4.0 v1.7.1 v1.0.1 v1.0.1 v2.0.1',
  '2.7.1': 'v1.7.1 v1.7.0 v1.4.1 v1.7.2 v1.0.1 v1.0.1 v2.0.1',
  '2.7.2': 'v1.7.2 v1.7.1 v1.4.2 v1.7.3 v1.0.2 v1.0.2 v2.0.2',
  '2.7.3': 'v1.7.3 v1.7.2 v1.4.3 v1.7.4 v1.0.3 v1.0.3 v2.0.2',
  '2.7.4': 'v1.7.4 v1.7.3 v1.4.4 v1.7.5 v1.0.4 v1.0.4 v2.0.3',
  '2.7.5': 'v1.7.4 v1.7.3 v1.4.5 v1.7.5 v1.0.4 v1.0.4 v2.0.3',
  '2.8.0': 'v1.8.0 v1.8.0 v1.5.0 v1.8.0 v1.1.0 v1.1.0 v2.1.0',
  '2.8.1': 'v1.8.0 v1.8.1 v1.5.1 v1.8.1 v1.1.0 v1.1.0 v2.1.0',
  '2.8.2': 'v1.8.1 v1.8.2 v1.5.2 v1.8.2 v1.1.1 v1.1.1 v2.1.1',
  '2.8.3': 'v1.8.1 v1.8.2 v1.5.3 v1.8.2 v1.1.1 v1.1.1 v2.1.1',
  '2.8.4': 'v1.8.1 v1.8.2 v1.5.3 v1.8.2 v1.1.1 v1.1.1 v2.1.1',
  '2.8.5': 'v1.8.2 v1.8.3 v1.5.3 v1.8.3 v1.1.1 v1.1.1 v2.1.1',
  '2.8.6': 'v1.8.3 v1.8.4 v1.5.4 v1.8.4 v1.1.1 v1.1.2 v2.1.1',
  '2.8.7': 'v1.8.4 v1.8.5 v1.5.4 v1.8.4 v1.1.1 v1.1.3 v2.1.1',
  '2.8.8': 'v1.8.5 v1.8.5 v1.5.5 v1.8.4 v1.1.2 v1.1.4 v2.1.1',
  '2.9.0': 'v1.9.1 v1.9.1 v1.6.1 v1.9.1 v1.2.1 v1.2.1 v2.2.1',
  '2.9.1': 'v1.9.2 v1.9.2 v1.6.2 v1.9.2 v1.2.2 v1.2.2 v2.2.2',
  '2.9.2': 'v1.9.3 v1.9.3 v1.6.2 v1.9.2 v1.2.3 v1.2.3 v2.2.2',
  '2.9.3': 'v1.9.3 v1.9.4 v1.6.3 v1.9.2 v1.2.3 v1.2.3 v2.2.2',
  '2.9.4': 'v1.9.4 v1.9.4 v1.6.3 v1.9.3 v1.2.4 v1.2.4 v2.2.3',
}

/** The digests of those tags. */
const digests: Readonly<Record<(typeof components)[number], Readonly<Record<string, string>>>> = {
  'source-controller': {
    'v1.6.0': '44ea51a40e4da2c0f19427df3219f29b86c8fce38539d227f6ffc2bdc944036f',
    'v1.6.1': 'a9dbd7872344ceadea48a89ea24c8a761a2a1008a2cdbbc1ffa3ed95dd2a00ce',
    'v1.6.2': '11c8e14df885eff86586533d9941293ec8a1e9fff71bacf119edc79fdf3c63e3',
    'v1.7.0': '233e0a1e842cab6ad7d2ed876d39c03d80ba727f78a8b6f159f8b471eb31c1a4',
    'v1.7.1': '85a1d3844c22def063b9d4924a4539ef2d5d850a97be7e8b6cd3f62c5f80708a',
    'v1.7.2': '030e258b636fede22a41bcaea3ea4542035cc280b0c740f641c4c5efb904b980',
    'v1.7.3': '5be9b7257270fa1a98c3c42af2f254a35bd64375e719090fe2ffc24915d8be06',
    'v1.7.4': '16f21ac1795528df80ddef51ccbb14a57b78ea26e66dc8551636ef9a3cec71b3',
    'v1.8.0': 'c87d5a6ef18a449f2cbb7108fef0e8e9664cf405938674487e7b8aaef86b12b8',
    'v1.8.1': '7382d002cffeed2d877331353f95797e89c0aa7ecb432e661eeeda3e590b3293',
    'v1.8.2': 'f2f6fd483b9a8b8c69f8ebe9f2277be23093a2b552b3578a6db15710d736bb0e',
    'v1.8.3': '9864978c19249d572ff3beb19cf34bcb8fdaae450a96c2eb5a0ae2ffe09897c4',
    'v1.8.4': '242bf7543eba22f9351b1205a97a880789d6abad34336599a926d5d9a6e89b91',
    'v1.8.5': '65172e2405cf95b92c4b00cefd28d5e8ffd1f81d6d097f85c6e83a9c557c9def',
    'v1.9.1': '773a90fa26e014d4f23d5c6a48ca5875c4686bdc6aac2ea73951b9cd9fda48dd',
    'v1.9.2': '2b8d06650a1bcff5ec9a6c549cc6b9d1144c1ff1af90861441f225627b0b9e7e',
    'v1.9.3': 'ff8f3c92f1bcb433e858c948040c3a3393fe73f5dd72048a4502bfaf0a4c26cd',
    'v1.9.4': '8a8ed0a57b8b86f561d5a4309a69f65e62f0cebe4de8801593c5ff35a3bc3c23',
  },
  'kustomize-controller': {
    'v1.6.0': 'd8c5445003196791441354f2d549e96cc6e69bb9ef6c5a7e440918dab0503776',
    'v1.6.1': '1a50730537bafb7827365b9af95c4eb71ca3d9b0bed9bc9bc765880e976972ef',
    'v1.7.0': '0bd84aad45def5b8c5e1459835573d0d00b622cc611e301aaf910386de5fd82f',
    'v1.7.1': '2b51e7a48594263ece5d86636a9b95381b19fc3091e7341a88802f4557b35a53',
    'v1.7.2': '477b4290a2fa2489bf87668bd7dcb77f0ae19bf944fef955600acbcde465ad98',
    'v1.7.3': 'e8ca82d66dafdd8ef77e0917f4adec53478075130ac61264dc0f91eb0f8cb6ce',
    'v1.8.0': '015fe21c0a788d39fed98664c3f4f7ee6dfc113dabc99748ee9c2d8bdf65bd89',
    'v1.8.1': '1ab76723fac91e8c433749c9570f08f871df751a8664a8cbbf59ea7a2ab17090',
    'v1.8.2': 'c480b89e26e42f6c112a4f683244a7979de3a2ca299bed7d5367ddf4fed706f0',
    'v1.8.3': 'c59e81059330a55203bf60806229a052617134d8b557c1bd83cdc69a8ece7ea2',
    'v1.8.4': '86e84b043a7a79203b22b3fcab634c20b2dcf79467c7c37998e489804876f3e5',
    'v1.8.5': '70e2a25edeee82690e68662409fb1b60f7d3084c93435e8ab5337a6e0244ffed',
    'v1.9.1': 'ae1a90c0c76d518618c5e2a64b82b6476c8213aa7a2b17ec8b94828f0230a6b8',
    'v1.9.2': '3aecec8bafdb632afbe1d7da2a9252f40049bb80567ab3564fc9546e710c95ce',
    'v1.9.3': '0203eb80743814f67bebb5f0b22c7db620bc461cc0b23732e0367a38fce04e4c',
    'v1.9.4': '2b8bec54ffb6caf421bd2a6c005d27f567d5dd4db7feb55794fb51fcabd69b8f',
  },
  'helm-controller': {
    'v1.3.0': 'db55d9d9f9b5106acd8c21da6916b8e285fcfc5572f214361ececd1a8571a4f0',
    'v1.4.0': 'b7af2ce32c3869fe59ffbda8fb32e9e60e2581f19af043a32105404a517a6d7b',
    'v1.4.1': 'f52777118d3c21e745520ce9e8e8dbab086dd019311f7822f3ee36083af29b5a',
    'v1.4.2': '32dd3ec7a138245ff4cd755439099c544f4ce3a55f95aa69a97106c05a661def',
    'v1.4.3': 'd741dffd2a552b31cf215a1fcf1367ec7bc4dd3609b90e87595ae362d05d022c',
    'v1.4.4': '5eae73909e1471c0cd01bb23d87c9d4219a4f645134a23629c8708c72635398d',
    'v1.4.5': 'd8d8fc2fb46c554e28071f1e4879be33491e71fdd3e0e41f61bb494a72c6dffc',
    'v1.5.0': '02621c382a3ce48775893e92a311d45b1c0cb03e65677515e9c4a074acf1e957',
    'v1.5.1': 'f481f11b320f71b9e997e365c83946889c8d20833f1c8e85f33d0fda2d46de7d',
    'v1.5.2': '3bba1ec27e571acc5387290ca021fd1f95266274752914864079b0d1b715f403',
    'v1.5.3': 'b150af0cd7a501dafe2374b1d22c39abf0572465df4fa1fb99b37927b0d95d75',
    'v1.5.4': 'e2de206f637ae113f628806c087f021173e696bc311e3417f5d408286b3509a2',
    'v1.5.5': 'b4b8f7715cc7cb61382eeb82bea108d1bdd965b00e7192c5dc9ab7436a33658b',
    'v1.6.1': 'b113d67328a58ecaa04ce69aa41fb285a1ebd10f021e2371065598a1325042fd',
    'v1.6.2': 'e17ab0e5885d80cebb9890663f85d59cd3866adebfc09a4d8bd2d512ef980bc4',
    'v1.6.3': '16ada99456385100698a5d7adf90aba8a2089d987ab541c9566b6d7b0e897038',
  },
  'notification-controller': {
    'v1.6.0': '80174ff676407af7a6feff67b0c2f100de9f7f89df4c26fc871e4d4c4006544d',
    'v1.7.1': '85f916e125b8dde26c70423025dab0523fe43219cf743f493722fee5c7f62208',
    'v1.7.2': '3a5e67e69ee79a71206d076951046ec41f7c6d0f0ab6a9e65b7c0b387f0e4d98',
    'v1.7.3': '55813e89e49509e5a312682759b7a4d5235ecc2e13a1eb70f917faf769596b07',
    'v1.7.4': '350600b64cecb6cc10366c2bc41ec032fd604c81862298d02c303556a2fa6461',
    'v1.7.5': 'ba723a55f7c7c7feedd50bb5db0ff2dd9a3b0ae85b50f61a0457184025b38c54',
    'v1.8.0': 'f5f7e8023c01617f11e2533d3effb3c82ff73fb57d711b0e27ef9f15edca6cc3',
    'v1.8.1': '94c31888eca9ce54d48115b4114845f1e20eee080689b34f93fe4732dc0b35b6',
    'v1.8.2': '87806dc20caff40b37280ea3155cc9ef3e995402997c49a8f9f9c6bff57e1499',
    'v1.8.3': 'a9e22d4aeec507abb3abc0e6ad3aeb3b672fd03d5776c785399aedec263a603f',
    'v1.8.4': '75842ecfcca4397a788051d6b00ec34f96ea74788c92d9c360fc4d196ea04551',
    'v1.9.1': 'd52626555d96dd5666a942ef8aad09650e1bdbf58ca67ddb835d9de27e9002be',
    'v1.9.2': '9ce503e7bcb8493fafe2aaef0c2ac4396df4f6890256acf9cd444a2dcd2a69ed',
    'v1.9.3': '071c351a0fb163eeb6a2bb82f1e894f51b6b0734216d2e97d3d99c9ab9d710b9',
  },
  'image-reflector-controller': {
    'v0.35.0': 'dcfb9bfd6dea79f608788dc1e9821f297cf62c053bb51b482fcaf5b674a3198a',
    'v0.35.1': '65e68ed78cac29a9f42b83098ec8fa1e40a6ef554f89303da1520cff68ec5a05',
    'v0.35.2': '4df89798b23a1ba7ec86bab327dcb50417af1517fe7986e511e28f62f40b8f61',
    'v1.0.1': '5c72668cc9248883391218f3b329f08cfece2bcd570e1ac47fac62bfac153ec8',
    'v1.0.2': 'a2dba78aa10c1a3905652f6cea39c4fc9c9688755e63dc1f38a0a0306bda54ce',
    'v1.0.3': 'a5c718caddfae3022c109a6ef0eb6772a3cc6211aab39feca7c668dfeb151a2e',
    'v1.0.4': '0bdc30aea2b7cdfea02d0f6d53c06b9df0ea1c6516b85ed523792e222329c039',
    'v1.1.0': '058160ea380827e5187700635da8a9f9231f366d7a89c781480c169a34da9bda',
    'v1.1.1': '4c12c4046dee6e32e11b7c6afeaf7910406b67ff0182d46eeedb128d367908cd',
    'v1.1.2': '45b219b1baddedcc0d6cd09da77c57d235bd225652eafb168981fb78cede640d',
    'v1.2.1': '5343c306824ccce696b79f1be62c79e8420b4b84980f4b023968f0873d160b68',
    'v1.2.2': '27e6bad1dac52f21fb4404620a9d5fe41609682122696b5384bb4d76449ffd99',
    'v1.2.3': 'a47e09e024a9ff2ea4f3878a1b90c2850134cfdc8b292ec52268dbc1e57e1a4c',
    'v1.2.4': 'd63550296dc9a6c2b7c9246cb7ef6e52d7469d5b104cd329622301b46971e255',
  },
  'image-automation-controller': {
    'v0.41.0': '868010070f063758282bf0c64cf17c6150b51d6eee49d40647706ccbd93c109d',
    'v0.41.1': 'b622ed93cddf31ac4086e7f6847cafc990ba363f8f4af49d3217313b50582282',
    'v0.41.2': 'e5b90e065e0d91690dbcd83dab3d03207ed030b068e26e9dac88c8d7b4fdfbe4',
    'v1.0.1': 'efbc480151bb1a853b35091131484c62c99fea40654c4e1e3cd7f2eab6c0d69c',
    'v1.0.2': 'a28eccd31409191131377ecf888a168c59e9a72578e71139b81b146d813c8335',
    'v1.0.3': '2577ace8d1660b77df5297db239e9cf30520b336f9a74c3b4174d2773211319d',
    'v1.0.4': 'f9383dccb80ec65e274648941af623ce74084d25026e14389111c14b630efece',
    'v1.1.0': 'd0ef3e686e93f25135905266c5d32513b4e70d5b3fadd105310de7cab8ae3d09',
    'v1.1.1': '43617c9fbb4cf32aed7458647f62589575237ccb810f45bd7cb31f24126d4f22',
    'v1.1.2': 'ee84d141eb5be907e19e6d7ebc7f298bc58851bbdab1c7cb6e57d8e69de1f0a3',
    'v1.1.3': '46ff589c1b6f3ccffa9ae686065b811c2a951065b23578fd059c53c7d58c73d2',
    'v1.1.4': 'a888b32b1e0f4fd754bc1db606741503300d3efb060e82b9c28d3852f1008049',
    'v1.2.1': '930d86fdb761a81311904b81d1cd9de76b3581767467ea7482a1a543dcf67bbe',
    'v1.2.2': '6b0b16ab21151b32d779749f96da08ad88be0ce06a7e99787338473945badeda',
    'v1.2.3': '81128adfd127601530d3dffc1deaf7c9eeec5b9aa555b3ab80cab37fa5d909a4',
    'v1.2.4': '0286cbba95a2606a006e370052cb642f4370cb42ceea8353b5cba922cf47770c',
  },
  'source-watcher': {
    'v2.0.1': 'a601e4e1a4e4b21b469544bc083126c681e43e61822f8ca9d5b0ab89b06d2438',
    'v2.0.2': '188a1adb89a16f7fcdd4ed79855301ec71950dcc833b6e0b3d0a053743ecac85',
    'v2.0.3': '9cd46c3c958dcfcd8a3c857fa09989f9df5d8396eae165f219cbb472343371a9',
    'v2.1.0': '7b67c651c20ec838c832b2165fa65efbc109ee7db3306441fba6e8963f6f7bc5',
    'v2.1.1': 'b3ffcbde086ca630ac27430d4eca860e5434aa9b827c6c1d6419c4e8f59749d1',
    'v2.2.1': '9e3d1545a46be801194832509bc8e57ebce243790122eead9e2a2e45a99048a1',
    'v2.2.2': '1d59f752ecf520d1dc56ca413749dfab507497dd363639b6fbaf5036850e05c7',
    'v2.2.3': '40f35415a78f4514aea41cf4d6dd299d59bc646eb4a73365eac831c8ced2445a',
  },
}

/** `source-controller-2.6.4`: what the operator installs for that version of Flux, whatever its own version is. */
const defaults: Record<string, Defaults> = Object.fromEntries(
  Object.entries(versions).flatMap(([version, row]) => {
    const tags = columns(components, { '0.0.0': row })
    return components.map(name => {
      const tag = tags[name]['0.0.0']!
      const image = tag === '' ? '' : `ghcr.io/fluxcd/${name}:${tag}@sha256:${digests[name][tag]}`
      return [`${name}-${version}`, { '0.0.0': image }]
    })
  }),
)

const kind = 'FluxInstance'
const group = 'fluxcd.controlplane.io'
const registry = 'spec.distribution.registry=ghcr.io/fluxcd'
const preset = ['source-controller', 'kustomize-controller', 'helm-controller', 'notification-controller']

const part = (name: string, condition: string): Pick<ComposeRule, 'kind' | 'group' | 'when' | 'image'> => ({
  kind,
  group,
  when: [registry, condition],
  image: `{default:${name}-[spec.distribution.version]}`,
})

export const flux: OperatorRules = {
  operator: 'Flux operator',
  source:
    'github.com/controlplaneio-fluxcd/flux-operator v0.58.1: config/data/flux-images, internal/builder/images.go',
  program: 'flux-operator',
  defaults,
  composes: [
    ...preset.map(name => ({
      ...part(name, 'spec.distribution.version'),
      unless: ['spec.components.*', 'spec.distribution.variant'],
    })),
    ...components.map(name => ({
      ...part(name, `spec.components.*=${name}`),
      unless: ['spec.distribution.variant'],
    })),
  ],
  unseen: [
    { kind, group, unless: [registry] },
    { kind, group, when: 'spec.distribution.variant' },
  ],
}
