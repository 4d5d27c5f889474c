# Completion of the resnet program for bash.
# shellcheck disable=SC2207 # bash 3.2, which macOS has, lacks mapfile
_resnet() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local command=${COMP_WORDS[1]}
  local common='--conv --memory --max-memory --max-file --external-data --size --scores'
  common+=' --json --quiet --help'
  local images='--preprocess --resize --crop'
  local running='--threads --batch'
  local decoding='--depth16'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    local commands='classify eval inspect bench compile compare --help --version'
    COMPREPLY=($(compgen -W "$commands" -- "$current"))
    return
  fi
  case $previous in
    --preprocess)
      local presets='imagenet imagenet-v2 cifar10 keras-caffe keras-tf none'
      COMPREPLY=($(compgen -W "$presets" -- "$current"))
      return ;;
    --conv)
      COMPREPLY=($(compgen -W 'auto direct winograd' -- "$current"))
      return ;;
    --memory)
      COMPREPLY=($(compgen -W 'normal small' -- "$current"))
      return ;;
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
      classify) own="--model --top --cam --cam-class $running $decoding $images" ;;
      eval) own="--model --data $running $decoding $images" ;;
      inspect) own="--model --check $images" ;;
      bench) own="--model --runs --per-op $running" ;;
      compile) own="--model --output $images" ;;
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
