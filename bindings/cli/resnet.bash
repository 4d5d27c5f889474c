# Completion of the resnet program for bash.
# shellcheck disable=SC2207 # bash 3.2, which macOS has, lacks mapfile
_resnet() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local command=${COMP_WORDS[1]}
  local common='--conv --memory --max-memory --max-file --external-data --size --scores'
  common+=' --json --quiet --help'
  local images='--preprocess --fit --resize --crop --filter --order --scale --mean --std'
  local running='--threads --batch'
  local decoding='--depth16 --labels'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    local commands='classify embed eval inspect bench compile compare --help --version'
    COMPREPLY=($(compgen -W "$commands" -- "$current"))
    return
  fi
  case $previous in
    --preprocess)
      local presets='imagenet imagenet-v2 timm cifar10 unit keras-caffe keras-tf keras-stretch'
      presets+=' grey none'
      COMPREPLY=($(compgen -W "$presets" -- "$current"))
      return ;;
    --conv)
      COMPREPLY=($(compgen -W 'auto direct winograd xnnpack' -- "$current"))
      return ;;
    --memory)
      COMPREPLY=($(compgen -W 'normal small' -- "$current"))
      return ;;
    --fit)
      COMPREPLY=($(compgen -W 'crop stretch' -- "$current"))
      return ;;
    --filter)
      COMPREPLY=($(compgen -W 'bilinear bicubic nearest' -- "$current"))
      return ;;
    --order)
      COMPREPLY=($(compgen -W 'rgb bgr grey' -- "$current"))
      return ;;
    --mean | --std | --scale) return ;;
    --resize | --crop)
      COMPREPLY=($(compgen -W 'none' -- "$current"))
      return ;;
    --depth16)
      COMPREPLY=($(compgen -W 'clip scale auto' -- "$current"))
      return ;;
    --max-memory | --max-file) return ;;
    --size | --scores | --cam-class | -k | --top | -t | --threads | -b | --batch) return ;;
    -r | --runs | --lesions | --events) return ;;
  esac
  if [[ $current == -* ]]; then
    local own
    case $command in
      classify) own="--model --top --raw --cam --cam-class $running $decoding $images" ;;
      embed) own="--model --output --l2 --skip-errors --depth16 $running $images" ;;
      eval) own="--model --data $running $decoding $images" ;;
      inspect) own="--model --check --per-op --peak --labels $images" ;;
      bench) own="--model --runs --per-op $running" ;;
      compile) own="--model --output --labels $images" ;;
      compare) own="--data --report --tables --lesions --events $running $decoding $images" ;;
      *) return ;;
    esac
    COMPREPLY=($(compgen -W "$common $own" -- "$current"))
    return
  fi
  compopt -o filenames 2>/dev/null
  local IFS=$'\n'
  COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _resnet resnet
