import type { ClientName, SetupBlock } from './client-setup.ts'
import type { Language } from './language.ts'

/** All texts of the pages in one language. What a bundle says (descriptions) stays as it is. */
export interface Texts {
  siteTitle: string
  skip: string
  lead: string
  otherLanguage: { lang: Language; name: string }
  search: { label: string; button: string; hint: string }
  results(count: number, query: string): string
  noResults(query: string): string
  moreIn(list: string): string
  back: string
  about: {
    title: string
    version: string
    digest: string
    size: string
    built: string
    signature: string
    signedBy: string
    unconfirmed(count: number): string
    words: string
    unsigned: string
    notStated: string
    trust: Record<'signed' | 'known' | 'expected' | 'nothing', string>
  }
  contents: { title: string; empty: string; open: string; items(count: number): string; folders: string }
  kinds: Record<string, string>
  columns: Record<
    | 'name'
    | 'tags'
    | 'version'
    | 'architecture'
    | 'platforms'
    | 'size'
    | 'digest'
    | 'about'
    | 'commit'
    | 'branch',
    string
  >
  noTag: string
  page(number: number, pages: number): string
  previous: string
  next: string
  setup: {
    title: string
    lead: string
    none: string
    names: Record<ClientName, string>
    notes: Record<ClientName, string>
    steps: Record<SetupBlock['step'], string>
    copy: string
    copied: string
  }
  keys: {
    title: string
    lead: string
    ca: string
    caUse: string
    siteKey: string
    siteKeyUse: string
    fingerprint: string
    check: string
  }
}

const en: Texts = {
  siteTitle: 'Software for this network',
  skip: 'Skip to the content',
  lead: 'Container images, charts, packages and files for machines without internet access. Everything comes from the bundles below.',
  otherLanguage: { lang: 'ko', name: '한국어' },
  search: {
    label: 'Search images, packages, charts and files',
    button: 'Search',
    hint: 'Name, version, architecture or digest',
  },
  results: (count, query) => `${count} ${count === 1 ? 'result' : 'results'} for “${query}”`,
  noResults: query => `Nothing matches “${query}”. Try a shorter word.`,
  moreIn: list => `Show all in ${list}`,
  back: 'Start page',
  about: {
    title: 'What is served here',
    version: 'Version',
    digest: 'Digest',
    size: 'Size',
    built: 'Built',
    signature: 'Signature',
    signedBy: 'Signed by',
    unconfirmed: count =>
      `${count} more ${count === 1 ? 'signature' : 'signatures'} by keys that nobody at this site has confirmed`,
    words: 'Words to compare by phone',
    unsigned: 'Not signed',
    notStated: 'not stated',
    trust: {
      signed: 'Verified with keys that this site trusts',
      known: 'Known by its digest since the site was set up',
      expected: 'Its digest was confirmed by the operator',
      nothing: 'Not verified: this site has no signing key yet',
    },
  },
  contents: {
    title: 'Contents',
    empty: 'The bundles contain nothing that this page can list.',
    open: 'Show',
    items: count => `${count.toLocaleString('en')} ${count === 1 ? 'item' : 'items'}`,
    folders: 'All folders as plain listings',
  },
  kinds: {
    image: 'Container images',
    chart: 'Helm charts',
    file: 'Files',
    deb: 'Debian and Ubuntu packages',
    rpm: 'RPM packages',
    wheel: 'Python packages',
    git: 'Git repositories',
  },
  columns: {
    name: 'Name',
    tags: 'Tags',
    version: 'Version',
    architecture: 'Architecture',
    platforms: 'Platforms',
    size: 'Size',
    digest: 'Digest',
    about: 'Description',
    commit: 'Commit',
    branch: 'Branch',
  },
  noTag: 'by digest only',
  page: (number, pages) => `Page ${number} of ${pages}`,
  previous: 'Previous page',
  next: 'Next page',
  setup: {
    title: 'Set up a machine',
    lead: 'Machines that offline-deploy has installed are set up already. On any other machine of this network, run these commands.',
    none: 'There is nothing to set up: the bundles contain no packages, images, charts or files.',
    names: {
      ca: 'Certificate authority of this site (do this first)',
      containerd: 'containerd',
      docker: 'Docker',
      podman: 'podman, buildah, skopeo',
      apt: 'apt (Debian, Ubuntu)',
      dnf: 'dnf (RHEL, Rocky, Alma)',
      pip: 'pip, uv (Python)',
      helm: 'Helm',
      git: 'git',
      curl: 'curl (files)',
    },
    notes: {
      ca: 'Compare the printed fingerprint with the one that the operator of the site reads to you; only then let the machine trust it.',
      containerd:
        'containerd reads this folder if config_path in /etc/containerd/config.toml names it; kubespray sets that. It needs no restart.',
      docker:
        'If /etc/docker/daemon.json exists already, add the line to it by hand. Docker requires the name of this registry in front of each image.',
      podman: 'Images keep their upstream names.',
      apt: 'Run the commands of the release of the machine. Sources that need the internet make apt-get update slow: remove them, or move them away.',
      dnf: 'Run the commands of the release of the machine. Disable repositories that need the internet.',
      pip: 'The file sets the package index for all users of the machine.',
      helm: 'Charts are in the registry, and in a classic repository, too.',
      git: 'Any git client can clone; Flux and Argo CD, too.',
      curl: 'The checksum is that of the bundle.',
    },
    steps: {
      fetch: 'Download and check',
      debian: 'Trust it on Debian and Ubuntu',
      el: 'Trust it on RHEL, Rocky and Alma',
      configure: 'Set up',
      use: 'Use',
      classic: 'From the classic repository',
      uv: 'With uv',
    },
    copy: 'Copy',
    copied: 'Copied',
  },
  keys: {
    title: 'Keys',
    lead: 'Compare a fingerprint with the one that the operator of this site reads to you from the server itself, not with this page alone.',
    ca: 'Certificate authority of the servers (SHA-256)',
    caUse: 'Clients verify the TLS certificates of this site with it.',
    siteKey: 'Key of the package repositories (OpenPGP)',
    siteKeyUse: 'apt and dnf verify the lists of packages with it.',
    fingerprint: 'Fingerprint',
    check: 'Check what you downloaded',
  },
}

const ko: Texts = {
  siteTitle: '폐쇄망 소프트웨어 저장소',
  skip: '본문으로 건너뛰기',
  lead: '인터넷에 연결되지 않은 장비를 위한 컨테이너 이미지, 차트, 패키지, 파일을 제공합니다. 모든 내용은 아래 번들에서 나옵니다.',
  otherLanguage: { lang: 'en', name: 'English' },
  search: {
    label: '이미지, 패키지, 차트, 파일 검색',
    button: '검색',
    hint: '이름, 버전, 아키텍처 또는 다이제스트',
  },
  results: (count, query) => `“${query}” 검색 결과 ${count}건`,
  noResults: query => `“${query}”와 일치하는 항목이 없습니다. 더 짧은 단어로 검색해 보세요.`,
  moreIn: list => `${list} 전체 보기`,
  back: '시작 페이지',
  about: {
    title: '제공 중인 번들',
    version: '버전',
    digest: '다이제스트',
    size: '크기',
    built: '빌드 시각',
    signature: '서명',
    signedBy: '서명자',
    unconfirmed: count => `이 사이트에서 확인하지 않은 키의 서명 ${count}개`,
    words: '전화로 대조할 단어',
    unsigned: '서명 없음',
    notStated: '표시 없음',
    trust: {
      signed: '이 사이트가 신뢰하는 키로 검증되었습니다',
      known: '사이트 설정 때 등록된 다이제스트와 일치합니다',
      expected: '운영자가 다이제스트를 확인했습니다',
      nothing: '검증되지 않음: 이 사이트에 아직 서명 키가 없습니다',
    },
  },
  contents: {
    title: '내용',
    empty: '번들에 이 페이지에서 보여 줄 항목이 없습니다.',
    open: '보기',
    items: count => `${count.toLocaleString('ko')}개`,
    folders: '전체 폴더 목록',
  },
  kinds: {
    image: '컨테이너 이미지',
    chart: 'Helm 차트',
    file: '파일',
    deb: 'Debian·Ubuntu 패키지',
    rpm: 'RPM 패키지',
    wheel: 'Python 패키지',
    git: 'Git 저장소',
  },
  columns: {
    name: '이름',
    tags: '태그',
    version: '버전',
    architecture: '아키텍처',
    platforms: '플랫폼',
    size: '크기',
    digest: '다이제스트',
    about: '설명',
    commit: '커밋',
    branch: '브랜치',
  },
  noTag: '다이제스트로만 제공',
  page: (number, pages) => `${pages}쪽 중 ${number}쪽`,
  previous: '이전 쪽',
  next: '다음 쪽',
  setup: {
    title: '장비 설정',
    lead: 'offline-deploy로 설치한 노드는 이미 설정되어 있습니다. 그 밖의 장비에서는 아래 명령을 실행하세요.',
    none: '설정할 것이 없습니다. 번들에 패키지, 이미지, 차트, 파일이 없습니다.',
    names: {
      ...en.setup.names,
      ca: '사이트 인증 기관(CA) 인증서 (먼저 실행)',
      curl: 'curl (파일)',
    },
    notes: {
      ca: '출력된 지문을 사이트 운영자가 알려 주는 값과 대조한 뒤에 장비가 이 인증서를 신뢰하도록 설정하세요.',
      containerd:
        '/etc/containerd/config.toml의 config_path가 이 폴더를 가리켜야 합니다(kubespray는 기본으로 설정합니다). 재시작은 필요 없습니다.',
      docker:
        '/etc/docker/daemon.json이 이미 있으면 해당 줄을 직접 추가하세요. Docker에서는 이미지 이름 앞에 이 레지스트리 주소를 붙여야 합니다.',
      podman: '이미지 이름은 원본 그대로 사용합니다.',
      apt: '장비의 OS 릴리스에 맞는 명령을 실행하세요. 인터넷이 필요한 기존 소스는 apt-get update를 느리게 하므로 제거하거나 옮겨 두세요.',
      dnf: '장비의 OS 릴리스에 맞는 명령을 실행하세요. 인터넷이 필요한 저장소는 비활성화하세요.',
      pip: '이 파일은 장비의 모든 사용자에게 패키지 인덱스를 설정합니다.',
      helm: '차트는 레지스트리와 기존 방식의 저장소에서 모두 받을 수 있습니다.',
      git: '모든 git 클라이언트와 Flux, Argo CD에서 복제할 수 있습니다.',
      curl: '체크섬은 번들에 기록된 값입니다.',
    },
    steps: {
      fetch: '내려받아 확인',
      debian: 'Debian·Ubuntu에서 신뢰 설정',
      el: 'RHEL·Rocky·Alma에서 신뢰 설정',
      configure: '설정',
      use: '사용',
      classic: '기존 방식의 저장소에서',
      uv: 'uv 사용',
    },
    copy: '복사',
    copied: '복사됨',
  },
  keys: {
    title: '키',
    lead: '지문은 이 페이지만 보지 말고 사이트 운영자가 서버에서 직접 확인해 알려 주는 값과 대조하세요.',
    ca: '서버 인증 기관(CA) 인증서 (SHA-256)',
    caUse: '클라이언트가 이 사이트의 TLS 인증서를 이것으로 검증합니다.',
    siteKey: '패키지 저장소 키 (OpenPGP)',
    siteKeyUse: 'apt와 dnf가 패키지 목록을 이 키로 검증합니다.',
    fingerprint: '지문',
    check: '내려받은 키 확인',
  },
}

export const texts: Readonly<Record<Language, Texts>> = { en, ko }
